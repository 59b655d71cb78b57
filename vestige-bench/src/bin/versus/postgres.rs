//! Search and ingest on a PostgreSQL server.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolCopyExt as _, PgPoolOptions};
use sqlx::{AssertSqlSafe, QueryBuilder};
use tokio::runtime::Runtime;
use uuid::Uuid;
use vestige_bench::sample::{FILTERS, Sample, codebase, id, number};
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryFilter, MemoryStore, SearchQuery};

use crate::contest::{self, Contender, Times};
use crate::table;

/// What is taken in with the indexes in place.
const INGESTED: usize = 2000;

pub(crate) fn run(runtime: &Runtime, sample: &Sample, url: &str) -> Result<()> {
    runtime.block_on(ingest(sample, url))?;
    let started = Instant::now();
    let (store, pool) = runtime.block_on(async {
        let (store, pool) = database(sample, url, "vestige_versus").await?;
        store.begin_bulk_load().await?;
        for first in (0..sample.texts.len()).step_by(1000) {
            let records: Vec<_> =
                (first..sample.texts.len().min(first + 1000)).map(|n| sample.record(n)).collect();
            store.insert_batch(&records).await?;
        }
        store.finish_bulk_load().await?;
        anyhow::Ok((store, pool))
    })?;
    let size: i64 = runtime
        .block_on(sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&pool))?;
    table::note(&format!(
        "Vestige on PostgreSQL: filled and indexed in {:.0} s; {} bytes of disk for each memory",
        started.elapsed().as_secs_f64(),
        size / sample.texts.len() as i64
    ));
    let peer = Peer { runtime, sample, pool: &pool };
    vectors(&store, &peer, None)?;
    for (share, wanted) in FILTERS {
        vectors(&store, &peer, Some((share, wanted)))?;
    }
    hybrid(&store, &peer)
}

/// A new database of this name with Vestige's schema, and raw connections to it.
async fn database(sample: &Sample, url: &str, name: &str) -> Result<(PgMemoryStore, PgPool)> {
    let options: PgConnectOptions = url.parse().context("the URL of PostgreSQL")?;
    let server = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        .execute(&server)
        .await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&server).await?;
    server.close().await;
    let options = options.database(name);
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await?;
    let store = PgMemoryStore::from_pool(pool).await?;
    store.register_model(&sample.signature()).await?;
    let raw = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    Ok((store, raw))
}

struct Peer<'a> {
    runtime: &'a Runtime,
    sample: &'a Sample,
    pool: &'a PgPool,
}

impl Peer<'_> {
    /// The ids that a statement finds, which is prepared once: $1 is the vector, $2 the question or the code base.
    fn ids(&self, before: &'static str, sql: &'static str, vector: &[f32], text: &str) -> Result<Vec<Uuid>> {
        self.runtime.block_on(async {
            let mut connection = self.pool.acquire().await?;
            if !before.is_empty() {
                sqlx::query(before).execute(&mut *connection).await?;
            }
            let found =
                sqlx::query_scalar(sql).bind(literal(vector)).bind(text).fetch_all(&mut *connection).await;
            if !before.is_empty() {
                sqlx::query("RESET hnsw.iterative_scan").execute(&mut *connection).await?;
            }
            Ok(found?)
        })
    }
}

fn literal(vector: &[f32]) -> String {
    let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}

fn numbers(ids: Vec<Uuid>) -> Vec<usize> {
    ids.into_iter().map(number).collect()
}

fn ours(runtime: &Runtime, store: &PgMemoryStore, query: &SearchQuery) -> Result<Vec<usize>> {
    let found = runtime.block_on(store.search(query))?;
    Ok(found.iter().map(|hit| number(hit.record.id)).collect())
}

fn vectors(store: &PgMemoryStore, peer: &Peer<'_>, filter: Option<(&str, &'static str)>) -> Result<()> {
    const BARE: &str = "SELECT id FROM knowledge_nodes WHERE $2 = '' OR true ORDER BY embedding <=> $1::text::vector LIMIT 10";
    const FILTERED: &str =
        "SELECT id FROM knowledge_nodes WHERE codebase = $2 ORDER BY embedding <=> $1::text::vector LIMIT 10";
    const ITERATIVE: &str = "SET hnsw.iterative_scan = relaxed_order";
    let sample = peer.sample;
    let wanted = filter.map_or("", |(_, wanted)| wanted);
    let sql = if filter.is_some() { FILTERED } else { BARE };
    let codebases = filter.map(|(_, wanted)| wanted.to_owned()).into_iter().collect();
    let restricted = MemoryFilter { codebases, ..MemoryFilter::default() };
    let vector = |n: usize| &sample.questions[n].1;
    let contenders = vec![
        Contender::new("floor: the bare statement, pgvector's defaults", |n| {
            Ok(numbers(peer.ids("", sql, vector(n), wanted)?))
        }),
        Contender::new("Vestige", |n| {
            let query = SearchQuery::embedding(vector(n).clone()).with_filter(restricted.clone());
            ours(peer.runtime, store, &query)
        }),
        Contender::new("the statement with an iterative scan", |n| {
            Ok(numbers(peer.ids(ITERATIVE, sql, vector(n), wanted)?))
        })
        .note("with the round trips of SET and RESET"),
    ];
    let name = filter.map_or(String::new(), |(share, _)| format!(", filter lets {share} through"));
    let truth = sample.truth(filter.map(|(_, wanted)| wanted));
    contest::run(
        &format!("Vector search, PostgreSQL{name}"),
        sample.questions.len(),
        Some(&truth),
        contenders,
    )
}

const WORDS: &str = "
    WITH question AS MATERIALIZED (
      SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS words
      FROM unnest(to_tsvector('english', $2)) AS found (lexeme, positions, weights)
    )
    SELECT n.id FROM knowledge_nodes AS n, question
    WHERE n.search_vec @@ question.words AND $1 <> ''
    ORDER BY ts_rank_cd(n.search_vec, question.words) DESC LIMIT 100";

const NEAR: &str =
    "SELECT id FROM knowledge_nodes WHERE $2 = $2 ORDER BY embedding <=> $1::text::vector LIMIT 100";

/// Reciprocal rank fusion in one statement, after the example of pgvector.
const FUSED: &str = "
    WITH near AS MATERIALIZED (
      SELECT id, embedding <=> $1::text::vector AS distance FROM knowledge_nodes
      ORDER BY embedding <=> $1::text::vector LIMIT 100
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

fn hybrid(store: &PgMemoryStore, peer: &Peer<'_>) -> Result<()> {
    let questions = &peer.sample.questions;
    let contenders = vec![
        Contender::new("Vestige", |n: usize| {
            let (text, vector) = &questions[n];
            ours(peer.runtime, store, &SearchQuery::hybrid(text, vector.clone()))
        }),
        Contender::new("two statements, fused by the client", |n: usize| {
            let (text, vector) = &questions[n];
            let mut scores: HashMap<Uuid, f64> = HashMap::new();
            for sql in [NEAR, WORDS] {
                for (rank, id) in (1..).zip(peer.ids("", sql, vector, text)?) {
                    *scores.entry(id).or_default() += 1.0 / f64::from(60 + rank);
                }
            }
            let mut ranked: Vec<_> = scores.into_iter().collect();
            ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
            Ok(ranked.into_iter().take(10).map(|(id, _)| number(id)).collect())
        })
        .note("ids alone, without the memories"),
        Contender::new("ts_rank_cd and RRF in one statement", |n: usize| {
            let (text, vector) = &questions[n];
            Ok(numbers(peer.ids("", FUSED, vector, text)?))
        })
        .note("ids alone, without the memories"),
    ];
    contest::run("Hybrid search, PostgreSQL", questions.len(), None, contenders)
}

async fn ingest(sample: &Sample, url: &str) -> Result<()> {
    let count = INGESTED.min(sample.texts.len());
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..3 {
        for (kind, times) in times.iter_mut().enumerate() {
            let (store, pool) = database(sample, url, "vestige_versus_ingest").await?;
            let records: Vec<_> = (0..count).map(|n| sample.record(n)).collect();
            let started = Instant::now();
            match kind {
                0 => copy(sample, &pool, count).await?,
                1 => {
                    for batch in records.chunks(1000) {
                        store.insert_batch(batch).await?;
                    }
                }
                2 => rows(sample, &pool, count, 500).await?,
                _ => rows(sample, &pool, count, 1).await?,
            }
            times.push(started.elapsed().as_secs_f64() * 1e3);
            store.close().await;
            pool.close().await;
        }
    }
    table::section(&format!("Taking {count} memories in, PostgreSQL, with all of Vestige's indexes"));
    let times = times.map(Times::of);
    let first = times[0].percentile(0.5);
    let names =
        ["floor: raw COPY BINARY", "Vestige, batches of 1,000", "INSERT of 500 rows", "row at a time"];
    for (name, times) in names.into_iter().zip(&times) {
        let rate = count as f64 / times.percentile(0.5) * 1e3;
        table::row(name, times, first, None, &format!("{rate:.0} a second"));
    }
    Ok(())
}

/// PostgreSQL documentation, COPY, "Binary Format"; pgvector's vector_send: length, 0, components.
async fn copy(sample: &Sample, pool: &PgPool, count: usize) -> Result<()> {
    let mut copy = pool
        .copy_in_raw("COPY knowledge_nodes (id, content, codebase, embedding) FROM STDIN (FORMAT binary)")
        .await?;
    let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
    bytes.extend([0; 8]);
    for n in 0..count {
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

async fn rows(sample: &Sample, pool: &PgPool, count: usize, at_once: usize) -> Result<()> {
    for first in (0..count).step_by(at_once) {
        let mut insert = QueryBuilder::new("INSERT INTO knowledge_nodes (id, content, codebase, embedding) ");
        insert.push_values(first..count.min(first + at_once), |mut row, n| {
            row.push_bind(id(n)).push_bind(&sample.texts[n]).push_bind(codebase(n));
            row.push_bind(literal(&sample.vectors[n])).push_unseparated("::text::vector");
        });
        insert.build().execute(pool).await?;
    }
    Ok(())
}
