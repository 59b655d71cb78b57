//! Databases of their own on the server, filled with a sample.

use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::runtime::Runtime;
use vestige_bench::sample::Sample;
use vestige_postgres::{PgMemoryStore, SearchSettings};
use vestige_traits::MemoryStore;

use crate::table;

/// A store that holds the sample, and what else is asked on the same database.
pub(super) struct Filled<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) sample: &'a Sample,
    pub(super) options: PgConnectOptions,
    pub(super) store: PgMemoryStore,
    /// The same store, told to look at everything.
    pub(super) exact: PgMemoryStore,
}

impl<'a> Filled<'a> {
    pub(super) fn fill(runtime: &'a Runtime, sample: &'a Sample, url: &str, name: &str) -> Result<Self> {
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

pub(super) async fn server(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("the URL of PostgreSQL")?;
    Ok(PgPoolOptions::new().max_connections(1).connect_with(options).await?)
}

/// A new database of this name with Vestige's schema.
pub(super) async fn database(
    sample: &Sample,
    url: &str,
    name: &str,
) -> Result<(PgMemoryStore, PgConnectOptions)> {
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
pub(super) fn pool(options: &PgConnectOptions, settings: &[(&str, &str)]) -> PgPool {
    let options = options.clone().options(settings.iter().copied());
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
}
