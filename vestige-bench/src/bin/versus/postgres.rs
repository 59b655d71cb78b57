//! Search, ingest and copies on a PostgreSQL server.

use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::runtime::Runtime;
use vestige_bench::sample::{FILTERS, Sample};
use vestige_postgres::{PgMemoryStore, SearchSettings};
use vestige_traits::MemoryStore;

use crate::table;

mod copy;
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

/// A store that holds the sample, and what else is asked on the same database.
struct Filled<'a> {
    runtime: &'a Runtime,
    sample: &'a Sample,
    options: PgConnectOptions,
    store: PgMemoryStore,
    /// The same store, told to look at everything.
    exact: PgMemoryStore,
}

impl<'a> Filled<'a> {
    fn fill(runtime: &'a Runtime, sample: &'a Sample, url: &str, name: &str) -> Result<Self> {
        runtime.block_on(async {
            let (store, options) = database(sample, url, name).await?;
            let started = Instant::now();
            store.begin_bulk_load().await?;
            for first in (0..sample.texts.len()).step_by(1000) {
                let records: Vec<_> =
                    (first..sample.texts.len().min(first + 1000)).map(|n| sample.record(n)).collect();
                store.insert_batch(&records).await?;
            }
            let loaded = started.elapsed().as_secs_f64();
            store.finish_bulk_load().await?;
            let indexed = started.elapsed().as_secs_f64() - loaded;
            // What autovacuum would do within a minute, in the middle of a measurement.
            store.vacuum().await?;
            let pool = pool(&options, &[]);
            let size: i64 =
                sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&pool).await?;
            pool.close().await;
            table::note(&format!(
                "Vestige on PostgreSQL, {} memories: filled in {loaded:.1} s, indexed in {indexed:.1} s; {} bytes of \
                 disk for each memory",
                sample.texts.len(),
                size / sample.texts.len() as i64
            ));
            let mut everything = SearchSettings::default();
            (everything.exact_memories, everything.exact_words) = (u32::MAX, u32::MAX);
            let exact =
                PgMemoryStore::builder(options.to_url_lossy()).search(everything).connect().await?;
            exact.register_model(&sample.signature()).await?;
            Ok(Self { runtime, sample, options, store, exact })
        })
    }
}

async fn server(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("the URL of PostgreSQL")?;
    Ok(PgPoolOptions::new().max_connections(1).connect_with(options).await?)
}

/// A new database of this name with Vestige's schema.
async fn database(sample: &Sample, url: &str, name: &str) -> Result<(PgMemoryStore, PgConnectOptions)> {
    let server = server(url).await?;
    for statement in
        [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")]
    {
        sqlx::query(AssertSqlSafe(statement)).execute(&server).await?;
    }
    let options = server.connect_options().as_ref().clone().database(name);
    server.close().await;
    let store = PgMemoryStore::connect(options.to_url_lossy().as_str(), 4).await?;
    store.register_model(&sample.signature()).await?;
    Ok((store, options))
}

/// One connection that the server is told these settings of when it begins.
fn pool(options: &PgConnectOptions, settings: &[(&str, &str)]) -> PgPool {
    let options = options.clone().options(settings.iter().copied());
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
}
