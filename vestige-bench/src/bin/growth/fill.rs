//! Fills a store of one size, and has it measured by a process of its own.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::fill::{Filling, fill};
use vestige_bench::sample::Sample;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::clock::{Clock, SystemClock};

use crate::args::Args;
use crate::data::{Measured, Row, Store};
use crate::task::{Filled, Place, Task, note};

/// So many questions have their true answers looked for.
const JUDGED: usize = 200;
/// Bytes that a memory of 384 dimensions takes while its store is filled, rounded up.
const NEEDED: u64 = 8_000;

pub(crate) fn measured(args: &Args, store: Store, memories: usize) -> Result<Row> {
    let home = TempDir::new()?;
    check_disk(home.path(), memories)?;
    let runtime = Runtime::new()?;
    let sample = Sample::make(memories, args.dimension, args.queries, args.texts.as_deref())?;
    let filled = match store {
        Store::Sqlite => sqlite(&runtime, &sample, home.path())?,
        Store::Postgres => postgres(&runtime, &sample, args)?,
    };
    let Filling { insert, index } = filled.filling;
    note(&format!(
        "{} with {memories} memories: filled in {insert:.1} s, indexed in {index:.1} s",
        store.name()
    ));
    let numbers = |truth: Vec<HashSet<usize>>| -> Vec<Vec<usize>> {
        truth.into_iter().map(|numbers| numbers.into_iter().collect()).collect()
    };
    let task = Task {
        place: filled.place,
        truth: numbers(sample.truth_of(JUDGED, None)),
        filtered_truth: numbers(sample.truth_of(JUDGED, Some("hundredth"))),
        questions: sample.questions,
    };
    // The vectors of a million memories would take the page cache's place.
    drop(sample.vectors);
    let path = home.path().join("task.json");
    std::fs::write(&path, serde_json::to_vec(&task)?)?;
    let measured: Measured = elsewhere(args, &path)?;
    Ok(Row {
        store,
        memories,
        dimension: args.dimension,
        texts: sample.origin,
        questions: task.questions.len(),
        date: SystemClock.now().format("%Y-%m-%d").to_string(),
        machine: machine(),
        versions: filled.versions,
        fill_s: insert,
        index_s: index,
        disk_bytes: filled.disk,
        measured,
    })
}

fn sqlite(runtime: &Runtime, sample: &Sample, home: &Path) -> Result<Filled> {
    let path = home.join("memory.db");
    let store = SqliteMemoryStore::builder(&path).durability(Durability::Process).open()?;
    let filling = runtime.block_on(fill(&store, sample))?;
    drop(store);
    let mut disk = 0;
    for entry in std::fs::read_dir(home)? {
        disk += entry?.metadata()?.len();
    }
    let versions = format!("Vestige {}, SQLite {}", env!("CARGO_PKG_VERSION"), rusqlite::version());
    Ok(Filled { filling, place: Place::File(path), disk, versions })
}

#[cfg(feature = "postgres")]
fn postgres(runtime: &Runtime, sample: &Sample, args: &Args) -> Result<Filled> {
    let url = args.postgres_url().context("there is no server")?;
    runtime.block_on(crate::postgres::fill(sample, url))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Runtime, _: &Sample, _: &Args) -> Result<Filled> {
    anyhow::bail!("built without the feature `postgres`")
}

/// Runs this program again to measure the store.
fn elsewhere(args: &Args, task: &Path) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--measure").arg(task).arg("--data").arg(&args.data).arg("--plot").arg(&args.plot);
    if let Some(url) = args.postgres_url() {
        command.env("VESTIGE_TEST_PG_URL", url);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the measuring process failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("the measuring process printed no JSON")
}

/// Says how much disk space is needed, and fails where the disk has less.
fn check_disk(folder: &Path, memories: usize) -> Result<()> {
    let needed = memories as u64 * NEEDED;
    // POSIX: a heading, then the file system with its free 1,024-byte blocks in the fourth column.
    let Ok(output) = Command::new("df").arg("-Pk").arg(folder).output() else { return Ok(()) };
    let free = String::from_utf8_lossy(&output.stdout)
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    if let Some(free) = free {
        ensure!(
            free * 1024 >= needed,
            "{memories} memories need {} MB of disk, and {} has {}: point TMPDIR elsewhere",
            needed / 1_000_000,
            folder.display(),
            free * 1024 / 1_000_000
        );
    }
    Ok(())
}

/// The machine in a few words, as far as Linux tells.
fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|memory| memory.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(String::new(), |kilobytes| format!(", {} GiB", (kilobytes + (1 << 19)) >> 20));
    format!("{processors} × {model}{memory}")
}
