//! Search, ingest and copies on a PostgreSQL server.

use anyhow::Result;
use tokio::runtime::Runtime;
use vestige_bench::sample::{FILTERS, Sample};

use crate::table;
use database::{Filled, server};

mod copy;
mod database;
mod hybrid;
mod ingest;
mod statement;
mod vectors;

/// The size of a store in which every vector and every word is looked at.
const SMALL: usize = 1000;

pub(crate) fn run(runtime: &Runtime, sample: &Sample, url: &str) -> Result<()> {
    runtime.block_on(async {
        let server = server(url).await?;
        let version: String = sqlx::query_scalar(
            "SELECT 'PostgreSQL ' || current_setting('server_version') || ', pgvector ' || default_version || \
             ', shared_buffers ' || current_setting('shared_buffers') || ', fsync ' || current_setting('fsync') \
             FROM pg_available_extensions WHERE name = 'vector'",
        )
        .fetch_one(&server)
        .await?;
        server.close().await;
        table::note(&version);
        anyhow::Ok(())
    })?;
    let small = sample.texts.len().min(SMALL);
    if small < sample.texts.len() {
        let of = Sample {
            dimension: sample.dimension,
            origin: sample.origin.clone(),
            texts: sample.texts[..small].to_vec(),
            vectors: sample.vectors[..small].to_vec(),
            questions: sample.questions.clone(),
        };
        let filled = Filled::fill(runtime, &of, url, "vestige_versus_small")?;
        hybrid::run(&filled, None)?;
    }
    let filled = Filled::fill(runtime, sample, url, "vestige_versus")?;
    vectors::run(&filled, None)?;
    for filter in FILTERS {
        vectors::run(&filled, Some(filter))?;
    }
    hybrid::run(&filled, None)?;
    for filter in FILTERS {
        hybrid::run(&filled, Some(filter))?;
    }
    drop(filled);
    runtime.block_on(ingest::run(sample, url))?;
    copy::run(runtime, sample, url)
}
