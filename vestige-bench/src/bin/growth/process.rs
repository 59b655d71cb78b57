//! Measures a filled store, in a process that has done nothing else.

use std::path::Path;
use std::time::Instant;

#[cfg(feature = "postgres")]
use anyhow::Context;
use anyhow::Result;
use tokio::runtime::Runtime;
use vestige_bench::memory;
use vestige_sqlite::SqliteMemoryStore;

use crate::data::Measured;
use crate::measure::{first_answer, searches};
use crate::task::{Place, Task};

pub(crate) fn run(task: &Path, postgres_url: Option<&str>) -> Result<String> {
    let task: Task = serde_json::from_slice(&std::fs::read(task)?)?;
    let runtime = Runtime::new()?;
    let measured = match &task.place {
        Place::File(path) => sqlite(&runtime, &task, path)?,
        Place::Database(name) => postgres(&runtime, &task, postgres_url, name)?,
    };
    Ok(serde_json::to_string(&measured)?)
}

fn sqlite(runtime: &Runtime, task: &Task, path: &Path) -> Result<Measured> {
    let (private, resident) = (memory::private(), memory::resident());
    let started = Instant::now();
    let store = SqliteMemoryStore::new(path)?;
    first_answer(runtime, &store, task)?;
    let open_ms = started.elapsed().as_secs_f64() * 1e3;
    let search = searches(runtime, &store, task)?;
    Ok(Measured {
        open_ms,
        search,
        private_bytes: memory::private().saturating_sub(private),
        resident_bytes: Some(memory::resident().saturating_sub(resident)),
    })
}

#[cfg(feature = "postgres")]
fn postgres(runtime: &Runtime, task: &Task, url: Option<&str>, name: &str) -> Result<Measured> {
    crate::postgres::measure(runtime, task, url.context("there is no server")?, name)
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Runtime, _: &Task, _: Option<&str>, name: &str) -> Result<Measured> {
    anyhow::bail!("{name} is on PostgreSQL, and this is built without it")
}
