//! The SQLite store passes the conformance suite, directly and behind `AnyMemoryStore`.

use std::sync::Arc;

use tempfile::TempDir;
use vestige_conformance::StoreFactory;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::clock::Clock;

struct Sqlite;

impl StoreFactory for Sqlite {
    type Store = SqliteMemoryStore;
    type Home = TempDir;

    async fn new_home(&self, _clock: Arc<dyn Clock>) -> TempDir {
        TempDir::new().expect("a temporary folder")
    }

    async fn open(&self, home: &TempDir, clock: Arc<dyn Clock>) -> SqliteMemoryStore {
        let builder = SqliteMemoryStore::builder(home.path().join("memory.db"));
        builder.clock(clock).durability(Durability::Process).open().expect("a store")
    }
}

vestige_conformance::conformance_tests!(
    #[tokio::test]
    Sqlite
);
