//! Stores and memories that the tests share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, its helpers too")]

pub mod child;

use std::io::{self, Cursor};
use std::sync::Arc;
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;
use vestige_conformance::{ReferenceStore, fixtures};
use vestige_migrate::archive::{Archive, Exporter};
use vestige_migrate::{Reject, RejectOutcome, RejectSink};
use vestige_traits::clock::ManualClock;
use vestige_traits::identity::{Group, GroupMembership, GroupRole, User};
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::transfer::{ScheduledMemory, TransferRow};
use vestige_traits::{
    Domain, Embedder, EmbedderResult, MemoryEdge, MemoryRecord, MemoryStore, ModelSignature, Visibility,
};

pub fn at(seconds: i64, micros: i64) -> DateTime<Utc> {
    fixtures::now() + TimeDelta::seconds(seconds) + TimeDelta::microseconds(micros)
}

pub fn id(kind: u8, n: usize) -> Uuid {
    // Spread over the key space, so that the order of ids is not the order of time.
    let mixed = (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c0d_2b5e_1a4d);
    Uuid::from_u128((u128::from(kind) << 120) | (mixed >> 8))
}

pub fn model(dimension: usize) -> ModelSignature {
    ModelSignature { name: format!("test/{dimension}"), dimension, hash: "a1".repeat(32) }
}

pub fn empty() -> ReferenceStore {
    ReferenceStore::new(Arc::new(ManualClock::new(fixtures::now())))
}

/// A reference store that holds `memories` memories and something of every other kind.
pub async fn filled(memories: usize) -> ReferenceStore {
    let store = empty();
    fill(&store, memories, 8).await;
    store
}

/// Puts `memories` memories and something of every other kind into an empty store.
pub async fn fill(store: &(impl MemoryStore + Sync), memories: usize, dimension: usize) {
    store.register_model(&model(dimension)).await.unwrap();
    import(store, &heads(dimension)).await;
    for rows in [memory_row, scheduling_row, edge_row, review_row] {
        for first in (0..memories).step_by(2000) {
            let chunk = first..memories.min(first + 2000);
            let page: Vec<_> = chunk.filter_map(|n| rows(n, dimension)).collect();
            import(store, &page).await;
        }
    }
}

async fn import(store: &(impl MemoryStore + Sync), rows: &[TransferRow]) {
    let report = store.import_page(rows, None).await.unwrap();
    assert_eq!((report.conflicts, report.rejected), (vec![], vec![]));
}

/// Users, groups, memberships and domains.
fn heads(dimension: usize) -> Vec<TransferRow> {
    let mut rows = Vec::new();
    let users = 3;
    for n in 0..users {
        rows.push(TransferRow::User(User {
            id: id(1, n),
            handle: format!("user-{n} \u{202e}ü"),
            display_name: (n != 1).then(|| "Zoë \"Z\" O'Hara\n".to_owned()),
            created_at: at(n as i64, 1),
            metadata: json!({"b": n, "a": {"z": 0.1, "y": [1, 1.0, 1e300, -0.5, u64::MAX, i64::MIN]}}),
        }));
        rows.push(TransferRow::Group(Group {
            id: id(2, n),
            handle: format!("group-{n}"),
            display_name: None,
            created_at: at(n as i64, 999_999),
            metadata: json!({}),
        }));
    }
    for n in 0..users {
        rows.push(TransferRow::GroupMembership(GroupMembership {
            user_id: id(1, n),
            group_id: id(2, (n + 1) % users),
            role: if n == 0 { GroupRole::Admin } else { GroupRole::Member },
            joined_at: at(100, n as i64),
        }));
    }
    for name in ["work", "Arbeit – früh", "z\u{7f}"] {
        let mut domain = Domain::new(name, format!("About {name}"), at(7, 0));
        domain.centroid = (name != "z\u{7f}").then(|| vector(name.len(), dimension));
        domain.top_terms = vec!["b".into(), "a".into()];
        domain.memory_count = 12;
        rows.push(TransferRow::Domain(domain));
    }
    rows
}

fn memory_row(n: usize, dimension: usize) -> Option<TransferRow> {
    Some(TransferRow::Memory(memory(n, dimension)))
}

fn scheduling_row(n: usize, _: usize) -> Option<TransferRow> {
    let row = || TransferRow::Scheduling(ScheduledMemory { memory_id: id(9, n), state: state(n) });
    n.is_multiple_of(2).then(row)
}

fn edge_row(n: usize, _: usize) -> Option<TransferRow> {
    let row = || {
        TransferRow::Edge(MemoryEdge {
            edge_type: ["related", "supersedes", "löst ab \"\t\""][n % 3].to_owned(),
            weight: [0.0, 1.0, 1.0 / 3.0][n % 3],
            ..MemoryEdge::new(id(9, n), id(9, n / 2), at(n as i64, 3))
        })
    };
    (n > 0).then(row)
}

fn review_row(n: usize, _: usize) -> Option<TransferRow> {
    let row = || {
        TransferRow::ReviewEvent(ReviewEvent {
            id: id(11, n),
            // Some are about memories that are gone.
            memory_id: if n.is_multiple_of(2) { id(9, n) } else { id(10, n) },
            timestamp: at(n as i64, 5),
            rating: [Rating::Again, Rating::Hard, Rating::Good, Rating::Easy][n % 4],
            prior_state: (!n.is_multiple_of(4)).then(|| state(n)),
            new_state: state(n + 1),
        })
    };
    n.is_multiple_of(3).then(row)
}

pub fn memory(n: usize, dimension: usize) -> MemoryRecord {
    const ODD: [&str; 8] = [
        "plain words about the staging database",
        "quotes \" ' ` and \\ backslash / slash",
        "control \u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}\u{85} characters",
        "emoji 😀👩‍👩‍👧 and combining e\u{301} against é",
        "right to left \u{202e}אבג and \u{2028}\u{2029} separators",
        "the last ones \u{fffd}\u{ffff}\u{10ffff}\u{feff}",
        "'; DROP TABLE knowledge_nodes; -- %s {} $1",
        "  leading and trailing space\n\n",
    ];
    let mut record =
        MemoryRecord::new_at(format!("note {n}: {}", ODD[n % ODD.len()]), at(n as i64, n as i64 % 7));
    record.id = id(9, n);
    record.node_type = ["general", "fact", "decision"][n % 3].to_owned();
    record.tags = match n % 4 {
        0 => vec![],
        _ => vec![format!("tag{}", n % 10), "a tag with spaces, and commas".into(), "\"{}\"".into()],
    };
    record.metadata = match n % 5 {
        0 => json!({}),
        1 => json!({"n": n, "float": 1.0, "tiny": 5e-324, "deep": {"é": [null, true, {"a": "\u{1}"}]}}),
        _ => json!({"z": "last", "a": "first", "third": 1.0 / 3.0, "big": 1e22}),
    };
    if n.is_multiple_of(3) {
        record.domains = vec!["work".into()];
        record.domain_scores = [("work".to_owned(), 1.0 / 7.0), ("Arbeit – früh".to_owned(), -2.5e-9)].into();
    }
    record.embedding = (n % 10 != 9).then(|| vector(n, dimension));
    record.codebase = n.is_multiple_of(2).then(|| "vestige".to_owned());
    record.session = (n % 3 == 1).then(|| format!("a talk, {}", n / 4));
    if n % 4 == 1 {
        record.owner_user_id = id(1, n % 3);
    }
    record.visibility = [Visibility::Private, Visibility::Group, Visibility::Public][n % 3];
    if record.visibility == Visibility::Group {
        record.shared_with_groups = vec![id(2, 2), id(2, 0)];
    }
    record.updated_at = record.created_at + TimeDelta::microseconds(n as i64);
    record
}

/// A memory of the local user with a vector, which a store on another model refuses: one without a vector it
/// takes, and leaves without.
pub fn with_vector(n: usize, dimension: usize) -> MemoryRecord {
    memory(n, dimension)
        .owner_user_id(vestige_traits::identity::LOCAL_USER_ID)
        .embedding(vector(n, dimension))
}

/// Memories lie around 64 topics, as real ones do.
pub fn vector(n: usize, dimension: usize) -> Vec<f32> {
    let (topic, own) = (noise("topic", n % 64, dimension), noise("own", n, dimension));
    let raw: Vec<f32> = topic.zip(own).map(|(topic, own)| topic + own).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.into_iter().map(|x| x / norm).collect()
}

fn noise(what: &str, n: usize, dimension: usize) -> impl Iterator<Item = f32> {
    let mut bytes = vec![0; dimension];
    blake3::Hasher::new().update(what.as_bytes()).update(&n.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into_iter().map(|byte| f32::from(byte) - 127.5)
}

fn state(n: usize) -> SchedulingState {
    SchedulingState {
        stability: 0.1 + n as f64 / 3.0,
        difficulty: 1.0 + (n % 9) as f64,
        retrievability: 0.9,
        last_review: (!n.is_multiple_of(3)).then(|| at(n as i64, 11)),
        next_review: (!n.is_multiple_of(4)).then(|| at(n as i64 + 86_400, 12)),
        reps: n as u32 % 7,
        lapses: n as u32 % 2,
    }
}

/// The archive of a store, as bytes.
pub async fn archive_of(store: &(impl MemoryStore + Sync)) -> Vec<u8> {
    let mut bytes = Vec::new();
    Exporter::new(store).page_rows(50).write(&mut bytes).await.unwrap();
    bytes
}

pub fn open(bytes: &[u8]) -> Archive<Cursor<Vec<u8>>> {
    Archive::new(Cursor::new(bytes.to_vec())).unwrap()
}

/// Keeps rejects as text.
#[derive(Debug, Default)]
pub struct Kept(pub Vec<(RejectOutcome, String)>);

impl RejectSink for Kept {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        let text = format!("{} {}: {}", reject.issue.kind(), reject.issue.key, reject.issue.reason);
        self.0.push((reject.outcome, text));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does something with a reference store outside of any runtime: it never waits, so one poll is enough.
pub fn at_once<T>(work: impl Future<Output = vestige_traits::MemoryStoreResult<T>>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(work).as_mut().poll(&mut context) {
        Poll::Ready(done) => done.unwrap(),
        Poll::Pending => panic!("the reference store waits"),
    }
}

/// A SQLite store in a folder of its own, which is removed with it.
pub struct Sqlite {
    pub store: vestige_sqlite::SqliteMemoryStore,
    pub path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

pub fn sqlite() -> Sqlite {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.db");
    Sqlite { store: open_sqlite(&path), path, _folder: folder }
}

pub fn open_sqlite(path: &std::path::Path) -> vestige_sqlite::SqliteMemoryStore {
    vestige_sqlite::SqliteMemoryStore::builder(path)
        // A killed process is what these tests are about, not a power cut.
        .durability(vestige_sqlite::Durability::Process)
        .open()
        .unwrap()
}

/// Runs a future until it has waited `times` times, and then drops it. None if it was dropped.
pub async fn interrupted<T>(work: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut waited = 0;
    let enough = move || {
        waited += 1;
        waited > times
    };
    interrupted_when(work, enough).await
}

/// Runs a future until it waits and `enough` says so, and then drops it. None if it was dropped.
pub async fn interrupted_when<T>(
    work: impl Future<Output = T>,
    mut enough: impl FnMut() -> bool,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if enough() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// A model whose vectors are hashes of words. It knows no word that begins with `x`.
pub struct Words {
    signature: ModelSignature,
}

impl Words {
    pub fn new(dimension: usize) -> Self {
        let hash = blake3::hash(&dimension.to_le_bytes()).to_hex().to_string();
        let signature = ModelSignature { name: format!("test/words-{dimension}"), dimension, hash };
        Self { signature }
    }

    pub fn vector(&self, text: &str) -> Option<Vec<f32>> {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let known: Vec<&str> = words.filter(|word| !word.is_empty() && !word.starts_with('x')).collect();
        let mut vector = vec![0.0_f32; self.signature.dimension];
        for word in &known {
            let noise = noise(word, 0, self.signature.dimension);
            vector.iter_mut().zip(noise).for_each(|(x, y)| *x += y);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        (!known.is_empty()).then(|| vector.into_iter().map(|x| x / norm).collect())
    }
}

impl Embedder for Words {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        Ok(self.vector(text))
    }
}
