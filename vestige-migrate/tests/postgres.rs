//! Between SQLite and PostgreSQL, and back. Needs the server that `VESTIGE_TEST_PG_URL` names.

#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too, and one that does not run says so"
)]

mod common;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::child::{self, Chance, Killed};
use common::{Words, archive_of, fill, id, model, sqlite};
use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use vestige_migrate::archive::Restorer;
use vestige_migrate::{Copier, CopyOutcome, MigrateError, Phase};
use vestige_postgres::PgMemoryStore;
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{Embedder, MemoryRecord, MemoryStore, MemoryStoreError, SearchQuery};

/// Not a test by itself: what the other tests start and kill.
#[tokio::test]
async fn child() {
    child::work().await;
}

/// How many memories the large tests move: `VESTIGE_MIGRATE_MEMORIES=20000` is the measure of record.
fn many() -> usize {
    std::env::var("VESTIGE_MIGRATE_MEMORIES").map_or(2000, |n| n.parse().unwrap())
}

/// The server's URL. None where there is none, which is said loudly, or fails where `VESTIGE_REQUIRE_PG=1`.
fn server() -> Option<String> {
    if let Ok(url) = std::env::var("VESTIGE_TEST_PG_URL") {
        return Some(url);
    }
    let reason =
        "VESTIGE_TEST_PG_URL is not set: this test needs PostgreSQL 18 with pgvector (cargo xtask test-pg)";
    assert!(std::env::var("VESTIGE_REQUIRE_PG").as_deref() != Ok("1"), "{reason}");
    eprintln!("SKIPPED: {reason}");
    None
}

/// A database of its own for one test.
struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    async fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let name = format!("vestige_migrate_{}_{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let (base, query) =
            server.split_once('?').map_or((&*server, None), |(base, query)| (base, Some(query)));
        let (scheme, rest) = base.split_once("://").unwrap();
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("{}://{host}/{name}{query}", scheme.replace("postgresql", "postgres"));
        let database = Self { server, name, url };
        database.admin("CREATE DATABASE").await;
        Some(database)
    }

    async fn admin(&self, statement: &str) {
        let mut admin = PgConnection::connect(&self.server).await.unwrap();
        let sql = match statement {
            "CREATE DATABASE" => format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", self.name),
            _ => format!("DROP DATABASE {} WITH (FORCE)", self.name),
        };
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    async fn store(&self) -> PgMemoryStore {
        PgMemoryStore::connect(&self.url, 4).await.unwrap()
    }

    async fn drop(self) {
        self.admin("DROP DATABASE").await;
    }
}

#[tokio::test]
async fn there_and_back_and_through_an_archive_is_the_same_bytes() {
    let Some(database) = Database::new().await else { return };
    let (source, back, restored) = (sqlite(), sqlite(), sqlite());
    fill(&source.store, many(), 384).await;
    let before = archive_of(&source.store).await;
    let shared = database.store().await;

    let report = Copier::new("a", &source.store, &shared).run().await.unwrap();
    assert!(report.is_lossless(), "{report:?}");
    let proof = report.proof.unwrap();
    assert!(proof.is_equal());
    for search in &proof.searches {
        println!("{search:?}");
        assert!(search.searches > 0 && search.mean_overlap > 0.95, "{search:?}");
    }
    assert!(archive_of(&shared).await == before, "the archive of PostgreSQL is another");

    let report = Copier::new("b", &shared, &back.store).run().await.unwrap();
    assert!(report.is_lossless(), "{report:?}");
    assert!(archive_of(&back.store).await == before);

    let bytes = archive_of(&shared).await;
    let report = Restorer::new(&mut common::open(&bytes), &restored.store).run().await.unwrap();
    assert!(report.is_lossless(), "{report:?}");
    assert!(archive_of(&restored.store).await == before);
    shared.close().await;
    database.drop().await;

    let Some(database) = Database::new().await else { return };
    let again = database.store().await;
    let report = Restorer::new(&mut common::open(&bytes), &again).run().await.unwrap();
    assert!(report.is_lossless(), "{report:?}");
    assert!(archive_of(&again).await == before);
    again.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_database_with_memories_of_its_own_or_another_model_is_refused_untouched() {
    let Some(database) = Database::new().await else { return };
    let source = common::filled(5).await;
    let target = database.store().await;
    target.insert(&MemoryRecord::new("mine")).await.unwrap();
    let before = archive_of(&target).await;
    let error = Copier::new("a", &source, &target).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::TargetNotEmpty { memories: 1, others: 0 }), "{error}");
    target.register_model(&model(4)).await.unwrap();
    let error = Copier::new("a", &source, &target).into_existing(true).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::ModelsDiffer { .. }), "{error}");
    assert!(archive_of(&target).await.len() >= before.len());
    assert_eq!(target.count().await.unwrap(), 1);
    target.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_copy_killed_many_times_ends_with_every_row_once() {
    let Some(database) = Database::new().await else { return };
    let source = sqlite();
    fill(&source.store, many(), 384).await;
    let from = source.path.display().to_string();
    Killed::often(&format!("copy|{from}|{}", database.url), 30, 0..10);
    let target = database.store().await;
    let report = Copier::new("a", &source.store, &target).run().await.unwrap();
    assert_eq!((report.outcome, report.moved_now), (CopyOutcome::AlreadyComplete, 0));
    assert!(archive_of(&target).await == archive_of(&source.store).await);
    target.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_reembedding_killed_many_times_while_in_use_is_never_a_mixture() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    fill(&store, 1500, 8).await;
    let new = Words::new(16);
    let work = format!("reembed|{}", database.url);
    let done = AtomicBool::new(false);
    let killing = async {
        let killed = tokio::task::spawn_blocking(move || Killed::often(&work, 20, 0..6)).await;
        done.store(true, Relaxed);
        killed.unwrap();
    };
    let writing = async {
        let writer = database.store().await;
        writer.register_model(&model(8)).await.unwrap();
        let mut written = 0;
        while !done.load(Relaxed) {
            match writer.insert(&common::with_vector(100_000 + written, 8)).await {
                Ok(()) => written += 1,
                // The switch was made: this process is bound to the old model.
                Err(MemoryStoreError::ModelMismatch { .. }) => break,
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        writer.close().await;
        written
    };
    let searching = async {
        let reader = database.store().await;
        reader.register_model(&model(8)).await.unwrap();
        let mut searches = 0;
        while !done.load(Relaxed) {
            match reader.search(&SearchQuery::embedding(common::vector(3, 8))).await {
                Ok(found) => {
                    searches += 1;
                    // Only vectors of the old model lie exactly here.
                    assert_eq!(found[0].vector_score, Some(1.0), "a mixture");
                }
                Err(MemoryStoreError::ModelMismatch { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        reader.close().await;
        searches
    };
    let ((), written, searches) = tokio::join!(killing, writing, searching);
    println!("{written} written, {searches} searches meanwhile");
    assert!(written > 0 && searches > 0);
    assert_eq!(store.registered_model().await.unwrap().as_ref(), Some(new.signature()));
    let page = store.export_page(TransferKind::Memory, None, 10_000).await.unwrap();
    assert_eq!(page.rows.len(), 1500 + written);
    for row in page.rows {
        let TransferRow::Memory(record) = row else { panic!("no memory") };
        assert_eq!(record.embedding, new.vector(&record.content));
    }
    assert!(store.get(id(9, 3)).await.unwrap().is_some());
    store.close().await;
    database.drop().await;
}

/// The same rows into the same table without its HNSW index, both ways in one run. Only the figures of a
/// release build mean something; the one of record stands in the README with its command.
#[tokio::test]
async fn a_copy_is_at_least_half_as_fast_as_copy_binary() {
    const COLUMNS: &str = "id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase, \
                           owner_user_id, visibility, shared_with_groups, created_at, updated_at, \
                           search_vec, session";
    let (Some(database), Some(raw)) = (Database::new().await, Database::new().await) else { return };
    let source = sqlite();
    fill(&source.store, many(), 384).await;
    let target = database.store().await;
    let (mut before, mut after) = (Instant::now(), Instant::now());
    let copier =
        Copier::new("a", &source.store, &target).verify(false).on_progress(|progress| match progress.phase {
            Phase::Copying(kind) if kind < TransferKind::Memory => before = Instant::now(),
            Phase::Copying(TransferKind::Memory) => after = Instant::now(),
            _ => {}
        });
    let report = copier.run().await.unwrap();
    assert!(report.is_lossless());
    let copied = (after - before).as_secs_f64();

    let mut rows = Vec::new();
    let mut from = PgConnection::connect(&database.url).await.unwrap();
    let copy_out =
        format!("COPY (SELECT {COLUMNS} FROM knowledge_nodes ORDER BY id) TO STDOUT (FORMAT binary)");
    let mut stream = from.copy_out_raw(&copy_out).await.unwrap();
    while let Some(chunk) = stream.next().await {
        rows.extend_from_slice(&chunk.unwrap());
    }
    drop(stream);
    let bare = raw.store().await;
    // Users, groups and the model; the table without its HNSW index.
    fill(&bare, 0, 384).await;
    bare.begin_bulk_load().await.unwrap();
    let mut into = PgConnection::connect(&raw.url).await.unwrap();
    let began = Instant::now();
    let copy_in = format!("COPY knowledge_nodes ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut sink = into.copy_in_raw(&copy_in).await.unwrap();
    for chunk in rows.chunks(256 * 1024) {
        sink.send(chunk).await.unwrap();
    }
    let loaded = sink.finish().await.unwrap();
    let raw_seconds = began.elapsed().as_secs_f64();
    assert_eq!(loaded, many() as u64);
    let ratio = raw_seconds / copied;
    println!(
        "{} memories: {:.0} a second, COPY BINARY {:.0} a second: ratio {ratio:.2}; with everything else and the \
         HNSW index {:.1} s",
        many(),
        many() as f64 / copied,
        many() as f64 / raw_seconds,
        report.elapsed.as_secs_f64()
    );
    // A small copy on a busy machine says little.
    if many() >= 20_000 && !cfg!(debug_assertions) {
        assert!(ratio >= 0.5, "{ratio}");
    }
    for (store, database) in [(target, database), (bare, raw)] {
        store.close().await;
        database.drop().await;
    }
}

/// With `VESTIGE_MIGRATE_MEMORIES=100000` it is the measure of record.
#[tokio::test]
async fn peak_memory_of_a_copy_does_not_grow_with_the_number_of_memories() {
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for memories in [many() / 10, many()] {
        let Some(database) = Database::new().await else { return };
        let from = folder.path().join(format!("{memories}.db")).display().to_string();
        child::finish(child::spawn(&format!("fill|{from}|{memories}|384")));
        let (peak, said) = child::finish(child::spawn(&format!("plan-and-copy|{from}|{}", database.url)));
        println!(
            "{memories} memories: peak {peak} KiB; {}",
            said.lines().find(|line| line.contains("rows/s")).unwrap()
        );
        peaks.push(peak);
        database.drop().await;
    }
    assert!(peaks[1] < 200 << 10, "{peaks:?} KiB");
    if many() >= 100_000 {
        assert!(peaks[1] * 10 <= peaks[0] * 12, "{peaks:?} KiB");
    }
}

/// They kill the server that others use, so they run alone.
mod faults {
    use super::*;

    /// Kills and starts the server; none where nobody says how.
    fn control() -> Option<impl Fn(&str)> {
        let command = std::env::var("VESTIGE_TEST_PG_CONTROL").ok().filter(|command| !command.is_empty());
        if command.is_none() {
            eprintln!(
                "SKIPPED: VESTIGE_TEST_PG_CONTROL is not set: this test kills the server (cargo xtask test-pg)"
            );
        }
        let command = command?;
        Some(move |what: &str| {
            let shell =
                Command::new("sh").args(["-c", &format!("{command} {what}")]).stdout(Stdio::null()).status();
            assert!(shell.unwrap().success(), "the server does not {what}");
        })
    }

    #[tokio::test]
    async fn a_copy_whose_server_is_killed_many_times_ends_with_every_row_once() {
        let (Some(control), Some(database)) = (control(), Database::new().await) else { return };
        let source = sqlite();
        fill(&source.store, many(), 384).await;
        let work = format!("copy|{}|{}", source.path.display(), database.url);
        let mut chance = Chance(11);
        let mut killed = Killed::default();
        while killed.times < 10 && !killed.ended {
            let moment = Duration::from_micros(chance.number(&(0..5000)));
            killed.once(&work, chance.number(&(0..15)), moment, |_| control("kill"));
            control("start");
        }
        println!("killed {} times", killed.times);
        assert!(killed.times >= 3, "{killed:?}: the copy is too short");
        killed.once(&work, u64::MAX - 1, Duration::ZERO, |_| ());
        assert!(killed.ended, "{killed:?}");
        let target = database.store().await;
        assert!(archive_of(&target).await == archive_of(&source.store).await);
        target.close().await;
        database.drop().await;
    }
}
