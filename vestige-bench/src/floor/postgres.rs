//! Bare statements on PostgreSQL, in a database of their own with Vestige's schema.

use std::ops::Range;

use anyhow::{Context, Result};
use pgvector::Vector;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolCopyExt as _, PgPoolOptions};
use uuid::Uuid;
use vestige_postgres::PgMemoryStore;

use crate::sample::{Sample, codebase, id};

/// A new, empty database of this name on the server, in place of one that is left from before.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn database(url: &str, name: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().context("the URL of PostgreSQL")?;
    let server = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        .execute(&server)
        .await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")))
        .execute(&server)
        .await?;
    server.close().await;
    Ok(options.database(name))
}

/// Up to that many connections to a database.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn connect(options: &PgConnectOptions, connections: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(connections).connect_with(options.clone()).await?)
}

/// A store on a pool of its own.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn store(options: &PgConnectOptions) -> Result<PgMemoryStore> {
    Ok(PgMemoryStore::from_pool(connect(options, 4).await?).await?)
}

/// Has the server make the terms of rows that come without any, as a table without Vestige would (manual,
/// section 12.4.3): the floor does not go without a keyword index.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn index_words_on_the_server(pool: &PgPool) -> Result<()> {
    const TRIGGER: &str = "
        CREATE TRIGGER index_words BEFORE INSERT ON knowledge_nodes FOR EACH ROW WHEN (new.search_vec IS NULL)
        EXECUTE FUNCTION tsvector_update_trigger(search_vec, 'pg_catalog.english', content)";
    sqlx::raw_sql(TRIGGER).execute(pool).await?;
    Ok(())
}

/// The ten nearest to a vector by the bare statement, prepared, with pgvector's defaults.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn nearest(pool: &PgPool, vector: &[f32]) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar("SELECT id FROM knowledge_nodes ORDER BY embedding <=> $1 LIMIT 10")
        .bind(Vector::from(vector.to_vec()))
        .fetch_all(pool)
        .await?;
    Ok(found)
}

/// The best ten by words and meaning: reciprocal rank fusion in one statement, after the example of pgvector.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn fused(pool: &PgPool, text: &str, vector: &[f32]) -> Result<Vec<Uuid>> {
    const FUSED: &str = "
        WITH near AS MATERIALIZED (
          SELECT id, embedding <=> $1 AS distance FROM knowledge_nodes ORDER BY embedding <=> $1 LIMIT 100
        ),
        question AS MATERIALIZED (
          SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS words
          FROM unnest(to_tsvector('english', $2)) AS found (lexeme, positions, weights)
        ),
        said AS MATERIALIZED (
          SELECT n.id, ts_rank_cd(n.search_vec, question.words) AS score
          FROM knowledge_nodes AS n, question WHERE n.search_vec @@ question.words
          ORDER BY score DESC LIMIT 100
        )
        SELECT id FROM (
          SELECT id, 1.0::float8 / (60 + rank() OVER (ORDER BY distance)) AS score FROM near
          UNION ALL
          SELECT id, 1.0::float8 / (60 + rank() OVER (ORDER BY score DESC)) FROM said
        ) AS legs
        GROUP BY id ORDER BY sum(score) DESC LIMIT 10";
    let found =
        sqlx::query_scalar(FUSED).bind(Vector::from(vector.to_vec())).bind(text).fetch_all(pool).await?;
    Ok(found)
}

/// Copies memories of the sample in, as fast as PostgreSQL takes them.
///
/// PostgreSQL documentation, COPY, "Binary Format"; pgvector's `vector_send`: length, 0, components.
///
/// # Errors
///
/// PostgreSQL's.
pub async fn copy(pool: &PgPool, sample: &Sample, memories: Range<usize>) -> Result<()> {
    let mut copy = pool
        .copy_in_raw("COPY knowledge_nodes (id, content, codebase, embedding) FROM STDIN (FORMAT binary)")
        .await?;
    let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
    bytes.extend([0; 8]);
    for n in memories {
        bytes.extend(4_i16.to_be_bytes());
        let mut vector = (sample.dimension as i16).to_be_bytes().to_vec();
        vector.extend([0; 2]);
        vector.extend(sample.vectors[n].iter().flat_map(|x| x.to_be_bytes()));
        for field in [id(n).as_bytes(), sample.texts[n].as_bytes(), codebase(n).as_bytes(), &vector] {
            bytes.extend((field.len() as i32).to_be_bytes());
            bytes.extend(field);
        }
        if bytes.len() > 1 << 20 {
            copy.send(std::mem::take(&mut bytes)).await?;
        }
    }
    bytes.extend((-1_i16).to_be_bytes());
    copy.send(bytes).await?;
    copy.finish().await?;
    Ok(())
}
