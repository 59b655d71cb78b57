//! The vectors in memory follow the rows, whoever writes them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use uuid::Uuid;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{FusionScale, InSession, LENDING_RESULTS, lend, lending_floor, result_order};
use vestige_traits::{
    MemoryFilter, MemoryRecord, MemoryStore, ModelSignature, SearchMode, SearchQuery, SearchResult,
};

const DIMENSION: usize = 48;

fn open(path: &Path) -> SqliteMemoryStore {
    SqliteMemoryStore::builder(path).durability(Durability::Process).open().unwrap()
}

fn signature() -> ModelSignature {
    ModelSignature { name: "numbers".into(), dimension: DIMENSION, hash: "0".repeat(64) }
}

/// A vector that follows from a number, near those of numbers with the same remainder.
fn vector(n: usize) -> Vec<f32> {
    let mut state = n as u64 * 0x9e37_79b9 + 1;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIMENSION).map(|i| ((n % 40 * 7 + i * 13) % 29) as f32 / 29.0 - 0.5 + noise()).collect()
}

fn record(n: usize) -> MemoryRecord {
    let mut record = MemoryRecord::new(format!("number {n}"));
    record.embedding = Some(vector(n));
    record.tags = vec![format!("mod{}", n % 100)];
    record
}

async fn found(store: &SqliteMemoryStore, n: usize) -> Vec<String> {
    let hits = store.search(&SearchQuery::embedding(vector(n)).limit(10)).await.unwrap();
    hits.into_iter().map(|hit| hit.record.content).collect()
}

#[tokio::test]
async fn the_next_search_of_another_handle_finds_what_was_committed() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let (writer, reader) = (open(&path), open(&path));
    assert!(found(&reader, 1).await.is_empty());
    writer.register_model(&signature()).await.unwrap();
    assert!(found(&reader, 1).await.is_empty());
    for n in 0..30 {
        let mut memory = record(n);
        writer.insert(&memory).await.unwrap();
        assert_eq!(found(&reader, n).await[0], format!("number {n}"));
        memory.embedding = Some(vector(n + 1000));
        writer.update(&memory).await.unwrap();
        assert_eq!(found(&reader, n + 1000).await[0], format!("number {n}"));
        if n % 3 == 0 {
            writer.delete(memory.id).await.unwrap();
            assert!(!found(&reader, n + 1000).await.contains(&format!("number {n}")));
        }
    }
    assert_eq!(found(&reader, 0).await, found(&open(&path), 0).await);
}

#[tokio::test]
async fn a_handle_that_missed_much_of_the_journal_loads_everything_again() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let (writer, reader) = (open(&path), open(&path));
    writer.register_model(&signature()).await.unwrap();
    writer.insert_batch(&(0..10).map(record).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(found(&reader, 3).await[0], "number 3");
    // More than the journal keeps: its first entries go.
    for batch in 0..3 {
        let records: Vec<_> = (0..10_000).map(|n| record(10 + batch * 10_000 + n)).collect();
        writer.insert_batch(&records).await.unwrap();
    }
    assert_eq!(found(&reader, 24_321).await[0], "number 24321");
    assert_eq!(found(&reader, 24_321).await, found(&open(&path), 24_321).await);
}

#[tokio::test]
async fn the_scan_finds_what_an_exact_scan_finds_under_any_filter() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("memory.db"));
    store.register_model(&signature()).await.unwrap();
    let records: Vec<_> = (0..5000).map(record).collect();
    store.insert_batch(&records).await.unwrap();
    for tags in [vec![], vec!["mod7".to_owned()], (0..30).map(|n| format!("mod{n}")).collect()] {
        let filter = MemoryFilter::new().tags(tags.clone());
        let (mut hits, mut wanted) = (0, 0);
        for question in (0..400).map(|n| vector(10_000 + n)) {
            let query = SearchQuery::embedding(question.clone()).filter(filter.clone());
            let found = store.search(&query).await.unwrap();
            assert_eq!(found.len(), 10);
            let mut exact: Vec<_> = records
                .iter()
                .filter(|record| tags.is_empty() || tags.contains(&record.tags[0]))
                .map(|record| (cosine_similarity(&question, record.embedding.as_ref().unwrap()), record.id))
                .collect();
            exact.sort_by(|a, b| b.0.total_cmp(&a.0));
            wanted += 10;
            hits += exact[..10].iter().filter(|(_, id)| found.iter().any(|hit| hit.record.id == *id)).count();
        }
        assert!(f64::from(hits as u32) >= 0.999 * f64::from(wanted), "{hits} of {wanted} with tags {tags:?}");
    }
}

#[tokio::test]
async fn what_is_gathered_for_a_filter_follows_the_rows() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let (writer, reader) = (open(&path), open(&path));
    writer.register_model(&signature()).await.unwrap();
    let mut records: Vec<_> = (0..6000).map(record).collect();
    for (n, record) in records.iter_mut().enumerate() {
        record.content += ["", " a third"][usize::from(n % 3 == 0)];
    }
    writer.insert_batch(&records).await.unwrap();
    let filter = MemoryFilter::new().tags((0..20).map(|n| format!("mod{n}")));
    let queries = |n: usize| {
        [
            SearchQuery::embedding(vector(n)).filter(filter.clone()),
            SearchQuery::hybrid(format!("number {n} -{}", n + 1), vector(n)).filter(filter.clone()),
            SearchQuery::hybrid("\"third\"", vector(n)).filter(filter.clone()),
        ]
    };
    let ask_often = async || {
        for n in 0..20 {
            reader.search(&queries(n)[0]).await.unwrap();
        }
    };
    let is_gathered = async || {
        let plan = reader.explain_search(&queries(0)[0]).await.unwrap();
        plan.steps.iter().any(|step| step.method.contains("gathered for this filter"))
    };
    assert!(!is_gathered().await);
    ask_often().await;
    assert!(is_gathered().await);

    for n in 0..40 {
        // One of the filter, and one that is not.
        let others = if n % 5 == 3 { 20 } else { 0 };
        let memory = &mut records[n * 100 + others + n % 20];
        match n % 5 {
            0 => {
                writer.delete(memory.id).await.unwrap();
            }
            1 => memory.embedding = Some(vector(n)),
            2 => memory.embedding = None,
            // Into the filter and out of it.
            3 => memory.tags = vec!["mod3".to_owned()],
            _ => memory.tags = vec!["mod50".to_owned()],
        }
        if n % 5 != 0 {
            writer.update(memory).await.unwrap();
        }
        if n % 7 == 0 {
            writer.insert(&record(10_000 + n * 100 + n % 20)).await.unwrap();
        }
        // One that was asked for nothing yet gathers nothing.
        let fresh = open(&path);
        for query in queries(n) {
            assert_eq!(reader.search(&query).await.unwrap(), fresh.search(&query).await.unwrap(), "{n}");
        }
    }
    assert!(is_gathered().await);

    let many: Vec<_> = (20_000..22_000).map(record).collect();
    writer.insert_batch(&many).await.unwrap();
    for query in queries(20_003) {
        assert_eq!(reader.search(&query).await.unwrap(), open(&path).search(&query).await.unwrap());
    }
    assert!(!is_gathered().await, "a thousand changes are not followed one by one");
    ask_often().await;
    assert!(is_gathered().await);
}

#[tokio::test]
async fn a_dropped_write_is_done_or_not_done() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("memory.db"));
    for n in 0..200_usize {
        let records: Vec<_> = (0..20).map(|m| MemoryRecord::new(format!("{n} {m}"))).collect();
        let write = store.insert_batch(&records);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(n as u64 * 20), write).await;
    }
    // A write that is under way when its caller leaves goes on; this one waits behind all of them.
    store.insert(&MemoryRecord::new("last")).await.unwrap();
    assert_eq!((store.count().await.unwrap() - 1) % 20, 0);
}

#[tokio::test]
async fn vectors_left_on_disk_give_the_same_answers() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory.db");
    let memory = open(&path);
    memory.register_model(&signature()).await.unwrap();
    let records: Vec<_> = (0..400).map(record).collect();
    memory.insert_batch(&records).await.unwrap();
    let disk = SqliteMemoryStore::builder(&path).indexes_in_memory(false).open().unwrap();
    let filter = MemoryFilter::new().tags(["mod7", "mod8"]);
    for n in 0..50 {
        for query in [
            SearchQuery::embedding(vector(n)),
            SearchQuery::hybrid("number -3", vector(n)),
            SearchQuery::embedding(vector(n)).filter(filter.clone()),
        ] {
            assert_eq!(disk.search(&query).await.unwrap(), memory.search(&query).await.unwrap());
        }
    }
    memory.delete(records[5].id).await.unwrap();
    assert_eq!(found(&disk, 5).await, found(&memory, 5).await);
    let plan = disk.explain_search(&SearchQuery::embedding(vector(1))).await.unwrap();
    assert!(plan.steps.iter().any(|step| step.method.contains("on disk")), "{plan:?}");
}

/// The rank and the score of a memory in a leg.
type Place = Option<(u32, f64)>;

/// The answer of a hybrid search, made from each leg's whole answer.
async fn fused(store: &SqliteMemoryStore, query: &SearchQuery) -> Vec<(Uuid, f64, Option<u32>, Option<u32>)> {
    let depth = query.fusion.leg_depth(query.limit);
    let leg = query.clone().limit(depth);
    let words = store.search(&leg.clone().mode(SearchMode::Keyword)).await.unwrap();
    let vectors = store.search(&leg.mode(SearchMode::Vector)).await.unwrap();
    let scores = |leg: &[SearchResult]| leg.iter().map(|hit| hit.score).collect::<Vec<_>>();
    let scale = FusionScale::of(scores(&words), scores(&vectors), depth);
    let mut places: BTreeMap<(DateTime<Utc>, Uuid), [Place; 2]> = BTreeMap::new();
    for (at, leg) in [words, vectors].into_iter().enumerate() {
        for (rank, hit) in (1..).zip(leg) {
            let memory = (hit.record.created_at, hit.record.id);
            places.entry(memory).or_default()[at] = Some((rank, hit.score));
        }
    }
    let mut fused: Vec<_> = places
        .into_iter()
        .map(|(memory, [words, vector])| (query.fusion.score(&scale, words, vector), memory, words, vector))
        .collect();
    fused.sort_by(|a, b| result_order((a.0, a.1.0, a.1.1), (b.0, b.1.0, b.1.1)));
    fused.truncate(query.limit);
    let rank = |place: Place| place.map(|(rank, _)| rank);
    fused.into_iter().map(|(score, (_, id), words, vector)| (id, score, rank(words), rank(vector))).collect()
}

#[tokio::test]
async fn vectors_that_are_not_read_change_no_answer() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("memory.db"));
    store.register_model(&signature()).await.unwrap();
    let records: Vec<_> = (0..3000)
        .map(|n| {
            let mut memory = record(n);
            memory.content =
                format!("number {n} {} {}", ["red", "green", "blue"][n % 3], "deep ".repeat(n % 5));
            // Some vectors are the same, and tie.
            memory.embedding = Some(vector(n - n % 7 % 2));
            memory
        })
        .collect();
    for records in records.chunks(1000) {
        store.insert_batch(records).await.unwrap();
    }
    for n in 0..60 {
        let text = ["blue", "deep green", "number 17 red", "nothing of it", "deep"][n % 5];
        for (limit, depth) in [(1, 0), (7, 0), (10, 20), (40, 0), (200, 0)] {
            let mut query = SearchQuery::hybrid(text, vector(n * 11)).limit(limit);
            query.fusion.depth = depth;
            let found = store.search(&query).await.unwrap();
            let found: Vec<_> =
                found.iter().map(|hit| (hit.record.id, hit.score, hit.fts_rank, hit.vector_rank)).collect();
            assert_eq!(found, fused(&store, &query).await, "{text}, limit {limit}, depth {depth}");
        }
    }
}

#[tokio::test]
async fn vectors_that_are_not_read_change_nothing_that_is_lent() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("memory.db"));
    store.register_model(&signature()).await.unwrap();
    let records: Vec<_> = (0..3000_usize)
        .map(|n| {
            let mut memory = record(n).session(format!("talk {}", n / 9));
            memory.created_at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(n as i64);
            let mark = if n % 4 == 0 { "?" } else { "" };
            memory.content = format!("number {n} {} {mark}", ["red", "green", "blue"][n % 3]);
            memory.embedding = Some(vector(n - n % 7 % 2));
            memory
        })
        .collect();
    for records in records.chunks(1000) {
        store.insert_batch(records).await.unwrap();
    }
    for n in 0..60 {
        let text = ["blue", "green", "number 17 red", "nothing of it", "red blue"][n % 5];
        for (mode, limit) in [(SearchMode::Hybrid, 10), (SearchMode::Hybrid, 1), (SearchMode::Vector, 10)] {
            let mut query = SearchQuery::hybrid(text, vector(n * 11)).mode(mode).limit(limit);
            query.fusion.depth = 100;
            let found = store.search(&query).await.unwrap();
            let found: Vec<_> = found.iter().map(|hit| (hit.record.id, hit.score)).collect();
            assert_eq!(found, lent(&store, &records, &query).await, "{text}, {mode}, limit {limit}");
        }
    }
}

/// The answer with what is lent, made from the first fifty results without it.
async fn lent(store: &SqliteMemoryStore, records: &[MemoryRecord], query: &SearchQuery) -> Vec<(Uuid, f64)> {
    let results = store.search(&query.clone().limit(LENDING_RESULTS).sessions(false)).await.unwrap();
    let scores: Vec<f64> = results.iter().map(|hit| hit.score).collect();
    let number = |id: Uuid| records.iter().position(|record| record.id == id).unwrap();
    let lenders: Vec<_> = results
        .iter()
        .map(|hit| {
            let at = number(hit.record.id);
            let near = |distance: isize| {
                let other = at.checked_add_signed(distance).filter(|other| other / 9 == at / 9)?;
                records.get(other).map(|record| record.id)
            };
            InSession {
                key: hit.record.id,
                score: hit.score,
                asks: at % 4 == 0,
                before: [near(-1), near(-2)],
                after: [near(1), near(2)],
            }
        })
        .collect();
    let floor = lending_floor(&scores, query.mode == SearchMode::Vector);
    let mut lent = lend(&lenders, floor);
    let order = |(id, score): &(Uuid, f64)| (*score, records[number(*id)].created_at, *id);
    lent.sort_by(|a, b| result_order(order(a), order(b)));
    lent.truncate(query.limit);
    lent
}
