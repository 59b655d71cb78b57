//! How cost grows with the number of memories: latency, memory, disk, and the time to fill, build and open.

use anyhow::{Result, bail};
use clap::Parser;

mod args;
mod data;
mod fill;
mod measure;
mod plot;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
mod table;
mod task;

use args::Args;
use data::{Data, Store};

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(task) = &args.measure {
        line(&process::run(task, args.postgres_url())?);
        return Ok(());
    }
    let mut data = Data::read(&args.data)?;
    if !args.plot_only {
        for &store in &args.stores {
            for size in sizes(&args, store)? {
                data.put(fill::measured(&args, store, size)?);
                data.write(&args.data)?;
            }
        }
    }
    line(&table::markdown(&data));
    plot::write(&data, &args.plot)
}

/// The sizes of a store; none where it cannot be measured here and nobody asked for it by size.
fn sizes(args: &Args, store: Store) -> Result<Vec<usize>> {
    if store == Store::Postgres && args.postgres_url().is_none() {
        task::note("PostgreSQL is left out: there is no server");
        return Ok(Vec::new());
    }
    if args.sizes.contains(&0) {
        bail!("a store of no memories costs nothing: give sizes above 0");
    }
    Ok(match (args.sizes.is_empty(), store) {
        (false, _) => args.sizes.clone(),
        (true, Store::Sqlite) => vec![1_000, 10_000, 100_000, 300_000, 1_000_000],
        (true, Store::Postgres) => vec![1_000, 10_000, 100_000, 300_000],
    })
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn line(text: &str) {
    println!("{text}");
}
