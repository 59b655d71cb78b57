//! Stores filled with the same sample.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vestige_bench::sample::Sample;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{AnyMemoryStore, MemoryStore};

/// Real texts, where they are beside the project.
const TEXTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/wordnet-dev");
const DIMENSION: usize = 384;
const QUESTIONS: usize = 200;

/// How many memories, and what that is called in the names of benches. `VESTIGE_BENCH_HEAVY` adds 100,000.
pub(crate) fn sizes() -> Vec<(usize, &'static str)> {
    let mut sizes = vec![(1_000, "1k"), (10_000, "10k")];
    if std::env::var_os("VESTIGE_BENCH_HEAVY").is_some() {
        sizes.push((100_000, "100k"));
    }
    sizes
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

pub(crate) fn sample(memories: usize) -> Sample {
    let texts = Some(Path::new(TEXTS)).filter(|folder| folder.is_dir());
    Sample::make(memories, DIMENSION, QUESTIONS, texts).expect("a sample")
}

/// A place for stores: a folder that is kept where `VESTIGE_BENCH_CACHE` names one, else a temporary one.
pub(crate) struct Home {
    folder: PathBuf,
    keeps: bool,
    _temporary: Option<TempDir>,
}

impl Home {
    pub(crate) fn new() -> Self {
        match std::env::var_os("VESTIGE_BENCH_CACHE").filter(|folder| !folder.is_empty()) {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                std::fs::create_dir_all(&folder).expect("the folder of VESTIGE_BENCH_CACHE is made");
                Self { folder, keeps: true, _temporary: None }
            }
            None => {
                let temporary = TempDir::new().expect("a temporary folder");
                Self { folder: temporary.path().to_owned(), keeps: false, _temporary: Some(temporary) }
            }
        }
    }

    /// A SQLite file that holds the sample, and nothing is written to.
    pub(crate) fn sqlite(&self, runtime: &Runtime, sample: &Sample) -> PathBuf {
        let path = self.folder.join(format!("{}.db", name(sample)));
        if path.exists() {
            return path;
        }
        // It gets its name when it is complete.
        let growing = path.with_extension("growing");
        drop(std::fs::remove_file(&growing));
        let store = open(&growing);
        runtime.block_on(fill(&store, sample));
        drop(store);
        assert!(!growing.with_extension("growing-wal").exists(), "what was written is in the file");
        std::fs::rename(&growing, &path).expect("the filled store gets its name");
        path
    }

    /// The store on every backend there is, with what it is called.
    pub(crate) fn filled(&self, runtime: &Runtime, sample: &Sample) -> Vec<(&'static str, AnyMemoryStore)> {
        let sqlite = ("sqlite", open(&self.sqlite(runtime, sample)));
        let postgres = runtime.block_on(postgres::filled(sample, self.keeps));
        std::iter::once(sqlite).chain(postgres.map(|store| ("postgres", store))).collect()
    }

    /// A new, empty store on every backend there is.
    pub(crate) fn empty(&self, runtime: &Runtime) -> Vec<(&'static str, AnyMemoryStore)> {
        let path = self.folder.join("empty.db");
        drop(std::fs::remove_file(&path));
        let sqlite = ("sqlite", open(&path));
        let postgres = runtime.block_on(postgres::empty("vestige_bench_empty"));
        std::iter::once(sqlite).chain(postgres.map(|store| ("postgres", store))).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What a filled store is called: another sample has another name.
fn name(sample: &Sample) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in &sample.texts {
        hasher.update(text.as_bytes()).update(b"\n");
    }
    for number in sample.vectors.iter().flatten() {
        hasher.update(&number.to_le_bytes());
    }
    format!("vestige_bench_{}_{}", sample.texts.len(), &hasher.finalize().to_hex()[..12])
}

pub(crate) fn open(path: &Path) -> AnyMemoryStore {
    let builder = SqliteMemoryStore::builder(path).durability(Durability::Process);
    AnyMemoryStore::new(builder.open().expect("a store"))
}

pub(crate) async fn fill(store: &AnyMemoryStore, sample: &Sample) {
    store.register_model(&sample.signature()).await.expect("the model");
    store.begin_bulk_load().await.expect("a bulk load");
    for first in (0..sample.texts.len()).step_by(1000) {
        let numbers = first..sample.texts.len().min(first + 1000);
        let records: Vec<_> = numbers.map(|n| sample.record(n)).collect();
        store.insert_batch(&records).await.expect("a batch");
    }
    store.finish_bulk_load().await.expect("the indexes");
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
    use vestige_bench::sample::Sample;
    use vestige_postgres::PgMemoryStore;
    use vestige_traits::{AnyMemoryStore, MemoryStore};

    /// The server that `cargo xtask bench` starts; none where nobody names one.
    fn server() -> Option<String> {
        std::env::var("VESTIGE_TEST_PG_URL").ok().filter(|url| !url.is_empty())
    }

    pub(super) async fn filled(sample: &Sample, keeps: bool) -> Option<AnyMemoryStore> {
        let name = super::name(sample);
        if keeps
            && let Ok(store) = PgMemoryStore::connect(&database(&server()?, &name), 4).await
            && store.count().await.is_ok_and(|count| count == sample.texts.len() as u64)
        {
            return Some(AnyMemoryStore::new(store));
        }
        let store = empty(&name).await?;
        super::fill(&store, sample).await;
        Some(store)
    }

    pub(super) async fn empty(name: &str) -> Option<AnyMemoryStore> {
        let server = server()?;
        let mut admin = PgConnection::connect(&server).await.expect("the server of VESTIGE_TEST_PG_URL");
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
        ] {
            admin.execute(AssertSqlSafe(statement)).await.expect("a database");
        }
        let store = PgMemoryStore::connect(&database(&server, name), 4).await;
        Some(AnyMemoryStore::new(store.expect("a store")))
    }

    /// The URL of another database on the same server.
    fn database(server: &str, name: &str) -> String {
        let (base, query) =
            server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
        let (scheme, rest) = base.split_once("://").expect("a URL");
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{host}/{name}{query}")
    }
}

/// Without the feature there is no store on PostgreSQL.
#[cfg(not(feature = "postgres"))]
mod postgres {
    use std::future::{Ready, ready};

    use vestige_bench::sample::Sample;
    use vestige_traits::AnyMemoryStore;

    pub(super) fn filled(_: &Sample, _: bool) -> Ready<Option<AnyMemoryStore>> {
        ready(None)
    }

    pub(super) fn empty(_: &str) -> Ready<Option<AnyMemoryStore>> {
        ready(None)
    }
}
