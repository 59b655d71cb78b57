//! Filling and measuring on a PostgreSQL server.

use std::time::Instant;

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::runtime::Runtime;
use vestige_bench::floor::postgres as floor;
use vestige_bench::sample::Sample;
use vestige_postgres::PgMemoryStore;
use vestige_traits::MemoryStore;

use crate::data::Measured;
use crate::measure::{first_answer, searches};
use crate::task::{Filled, Place, Task};

const DATABASE: &str = "vestige_growth";

pub(crate) async fn fill(sample: &Sample, url: &str) -> Result<Filled> {
    let options = floor::database(url, DATABASE).await?;
    let store = floor::store(&options).await?;
    let filling = vestige_bench::fill::fill(&store, sample).await?;
    store.vacuum().await?;
    store.close().await;
    let pool = floor::connect(&options, 1).await?;
    let disk: i64 =
        sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&pool).await?;
    let server: String = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
    let pgvector: String = sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        .fetch_one(&pool)
        .await?;
    pool.close().await;
    let server = server.split(' ').next().unwrap_or_default();
    let versions = format!("Vestige {}, PostgreSQL {server}, pgvector {pgvector}", env!("CARGO_PKG_VERSION"));
    Ok(Filled { filling, place: Place::Database(DATABASE.to_owned()), disk: disk.try_into()?, versions })
}

pub(crate) fn measure(runtime: &Runtime, task: &Task, url: &str, name: &str) -> Result<Measured> {
    let options = url.parse::<PgConnectOptions>()?.database(name);
    let started = Instant::now();
    // One connection, so that the server's process that answers is the one that is asked for its memory.
    let pool = runtime.block_on(floor::connect(&options, 1))?;
    let store = runtime.block_on(PgMemoryStore::from_pool(pool.clone()))?;
    first_answer(runtime, &store, task)?;
    let open_ms = started.elapsed().as_secs_f64() * 1e3;
    let search = searches(runtime, &store, task)?;
    let (private_bytes, resident_bytes) = runtime.block_on(server_memory(&pool))?;
    runtime.block_on(store.close());
    Ok(Measured { open_ms, search, private_bytes, resident_bytes })
}

/// The bytes of the server's process behind the connection, and of those with the shared buffers that hold
/// the database.
async fn server_memory(pool: &PgPool) -> Result<(u64, Option<u64>)> {
    let private: i64 = sqlx::query_scalar("SELECT sum(total_bytes)::int8 FROM pg_backend_memory_contexts")
        .fetch_one(pool)
        .await?;
    let private = u64::try_from(private)?;
    // An extension that comes with PostgreSQL, but not with every package of it.
    if sqlx::query("CREATE EXTENSION IF NOT EXISTS pg_buffercache").execute(pool).await.is_err() {
        return Ok((private, None));
    }
    let buffers: i64 = sqlx::query_scalar(
        "SELECT count(*) * current_setting('block_size')::int8 FROM pg_buffercache
         WHERE reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(pool)
    .await?;
    Ok((private, Some(private + u64::try_from(buffers)?)))
}
