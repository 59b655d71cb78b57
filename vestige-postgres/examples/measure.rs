//! The figures of the README: how fast a store takes memories in, what they weigh, what searches find and how
//! soon.
//!
//!     cargo run --release -p vestige-postgres --example measure -- URL [MEMORIES [DIMENSION [FOLDER]]]
//!
//! URL names an empty database, or one that was filled in the same way before. FOLDER has `memories.jsonl`
//! with a `content` in each line, and `queries.jsonl` with a `query`; without it, the texts are made of
//! numbers. The vectors lie around 200 centres.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people who measure: it prints, or fails"
)]

use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use uuid::Uuid;
use vestige_postgres::PgMemoryStore;
use vestige_traits::{MemoryFilter, MemoryRecord, MemoryStore, ModelSignature, SearchQuery};

const QUESTIONS: usize = 200;
const BATCH: usize = 5000;
/// Shares of the memories, drawn by lot; and one that keeps away from the questions: other centres than most
/// ask for.
const FILTERS: [Option<&str>; 5] = [None, Some("10 %"), Some("1 %"), Some("0.1 %"), Some("10 %, elsewhere")];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = arguments.first().expect("the URL of an empty database");
    let number = |at: usize, or: usize| arguments.get(at).map_or(or, |text| text.parse().expect("a number"));
    let data = Data::read(number(1, 100_000), number(2, 384), arguments.get(3).map(String::as_str));
    let pool = PgPoolOptions::new().max_connections(2).connect(url).await.unwrap();
    let store = PgMemoryStore::connect(url, 4).await.unwrap();
    store.register_model(&data.model()).await.unwrap();

    // A store that was filled before is only asked.
    if store.count().await.unwrap() == 0 {
        fill(&store, &pool, &data).await;
    }
    for tag in FILTERS {
        println!("recall@10, {}: {:.3}", name(tag), recall(&store, &pool, &data, tag).await);
    }
    for tag in FILTERS {
        times(&format!("hybrid, {}", name(tag)), &store, &data, tag, SearchQuery::hybrid).await;
    }
    times("keyword, no filter", &store, &data, None, |text, _| SearchQuery::text(text)).await;
    times("vector, no filter", &store, &data, None, |_, vector| SearchQuery::embedding(vector)).await;
    store.close().await;
}

async fn fill(store: &PgMemoryStore, pool: &PgPool, data: &Data) {
    let raw = raw_copy(pool, data).await;
    println!("COPY of id, text and vector into a bare table: {:.0} rows/s", data.rate(raw));
    let records = data.records();
    store.begin_bulk_load().await.unwrap();
    let began = Instant::now();
    for batch in records.chunks(BATCH) {
        store.insert_batch(batch).await.unwrap();
    }
    println!("insert_batch of {BATCH} during a bulk load: {:.0} memories/s", data.rate(began.elapsed()));
    let began = Instant::now();
    store.finish_bulk_load().await.unwrap();
    println!("the HNSW index and statistics: {:.0} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let few: Vec<_> =
        records.iter().take(BATCH / 5).map(|record| record.clone().id(MemoryRecord::new("").id)).collect();
    store.insert_batch(&few).await.unwrap();
    println!(
        "insert_batch of {} into a store with its index: {:.0} memories/s",
        few.len(),
        few.len() as f64 / began.elapsed().as_secs_f64()
    );
    for record in &few {
        store.delete(record.id).await.unwrap();
    }
    store.vacuum().await.unwrap();
    sizes(pool, data.contents.len()).await;
}

struct Data {
    contents: Vec<String>,
    queries: Vec<String>,
    vectors: Vec<Vec<f32>>,
    questions: Vec<Vec<f32>>,
}

impl Data {
    fn read(memories: usize, dimension: usize, folder: Option<&str>) -> Self {
        let lines = |file: &str, key: &str, made: fn(usize) -> String| -> Vec<String> {
            let Some(folder) = folder else { return (0..memories).map(made).collect() };
            let text = std::fs::read_to_string(format!("{folder}/{file}")).expect("a file of the folder");
            let field = |line: &str| {
                let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                value[key].as_str().expect("a text").to_owned()
            };
            text.lines().map(field).collect()
        };
        let mut contents = lines("memories.jsonl", "content", |n| format!("memory number {n}"));
        contents.truncate(memories);
        let queries = lines("queries.jsonl", "query", |n| format!("which memory has the number {n}?"));
        let mut numbers = Numbers(11);
        let centres: Vec<_> = (0..200).map(|_| numbers.vector(dimension)).collect();
        let mut around = |n: usize| -> Vec<f32> {
            let noise = numbers.vector(dimension);
            centres[n * 7919 % centres.len()].iter().zip(noise).map(|(centre, n)| centre + 0.7 * n).collect()
        };
        let vectors = (0..contents.len()).map(&mut around).collect();
        let questions = (0..QUESTIONS).map(|n| around(n * 31)).collect();
        Self { contents, queries, vectors, questions }
    }

    fn model(&self) -> ModelSignature {
        ModelSignature {
            name: "example/clustered".to_owned(),
            dimension: self.vectors[0].len(),
            hash: "ab".repeat(32),
        }
    }

    fn records(&self) -> Vec<MemoryRecord> {
        let mut numbers = Numbers(5);
        let record = |(n, (content, vector)): (usize, (&String, &Vec<f32>))| {
            let mut record = MemoryRecord::new(content.as_str());
            record.embedding = Some(vector.clone());
            let lot = numbers.next() + 0.5;
            let drawn = [("10 %", 0.1), ("1 %", 0.01), ("0.1 %", 0.001)];
            record
                .tags
                .extend(drawn.iter().filter(|(_, share)| lot < *share).map(|(tag, _)| (*tag).to_owned()));
            if n % 10 == 0 {
                record.tags.push("10 %, elsewhere".to_owned());
            }
            record
        };
        self.contents.iter().zip(&self.vectors).enumerate().map(record).collect()
    }

    fn rate(&self, took: Duration) -> f64 {
        self.contents.len() as f64 / took.as_secs_f64()
    }
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.next() + self.next() + self.next()).collect()
    }
}

fn name(tag: Option<&str>) -> &str {
    tag.unwrap_or("no filter")
}

/// How long the least takes that can be called loading: binary COPY into a table with nothing on it.
async fn raw_copy(pool: &PgPool, data: &Data) -> Duration {
    let mut connection = pool.acquire().await.unwrap();
    let table = format!(
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare (id uuid, content text, embedding vector({}))",
        data.vectors[0].len()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(table)).execute(&mut *connection).await.unwrap();
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for (n, (content, vector)) in data.contents.iter().zip(&data.vectors).enumerate() {
        bytes.extend(3_i16.to_be_bytes());
        bytes.extend(16_i32.to_be_bytes());
        bytes.extend((n as u128).to_be_bytes());
        bytes.extend(i32::try_from(content.len()).unwrap().to_be_bytes());
        bytes.extend(content.as_bytes());
        bytes.extend(i32::try_from(4 + 4 * vector.len()).unwrap().to_be_bytes());
        bytes.extend(u16::try_from(vector.len()).unwrap().to_be_bytes());
        bytes.extend([0; 2]);
        vector.iter().for_each(|component| bytes.extend(component.to_be_bytes()));
    }
    bytes.extend((-1_i16).to_be_bytes());
    let began = Instant::now();
    let mut sink = connection.copy_in_raw("COPY bare FROM STDIN (FORMAT binary)").await.unwrap();
    for chunk in bytes.chunks(256 * 1024) {
        sink.send(chunk).await.unwrap();
    }
    sink.finish().await.unwrap();
    let took = began.elapsed();
    connection.execute("DROP TABLE bare").await.unwrap();
    took
}

async fn sizes(pool: &PgPool, memories: usize) {
    let parts = "SELECT c.relname::text, pg_relation_size(c.oid)
         FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid
         WHERE i.indrelid = 'knowledge_nodes'::regclass
         UNION ALL SELECT 'table and its large values',
           pg_table_size('knowledge_nodes')
         UNION ALL SELECT 'everything', pg_total_relation_size('knowledge_nodes')
         ORDER BY 2 DESC";
    let parts: Vec<(String, i64)> = sqlx::query_as(parts).fetch_all(pool).await.unwrap();
    for (part, bytes) in parts {
        println!("{:.0} bytes a memory: {part}", bytes as f64 / memories as f64);
    }
}

fn filtered(query: SearchQuery, tag: Option<&str>) -> SearchQuery {
    query.filter(MemoryFilter::new().tags(tag.map(str::to_owned)))
}

async fn recall(store: &PgMemoryStore, pool: &PgPool, data: &Data, tag: Option<&str>) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for question in &data.questions {
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute("SET LOCAL enable_indexscan = off").await.unwrap();
        let exact: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM knowledge_nodes WHERE $2::text IS NULL OR tags && ARRAY[$2]
             ORDER BY embedding <=> $1::real[]::vector, id LIMIT 10",
        )
        .bind(question)
        .bind(tag)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
        let results = store.search(&filtered(SearchQuery::embedding(question.clone()), tag)).await.unwrap();
        assert_eq!(results.len(), exact.len(), "where ten match, ten come back");
        found += results.iter().filter(|result| exact.contains(&result.record.id)).count();
        wanted += exact.len();
    }
    f64::from(u32::try_from(found).unwrap()) / wanted as f64
}

async fn times(
    what: &str,
    store: &PgMemoryStore,
    data: &Data,
    tag: Option<&str>,
    ask: impl Fn(String, Vec<f32>) -> SearchQuery,
) {
    let mut times = Vec::new();
    for round in 0..2 {
        for (text, vector) in data.queries.iter().zip(&data.questions) {
            let query = filtered(ask(text.clone(), vector.clone()), tag);
            let began = Instant::now();
            store.search(&query).await.unwrap();
            // The first round brings the pages into memory.
            if round > 0 {
                times.push(began.elapsed());
            }
        }
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.95), at(0.99));
}
