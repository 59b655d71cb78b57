//! The reference store passes its own suite, directly and behind `AnyMemoryStore`.

use std::sync::Arc;

use vestige_conformance::{ReferenceStore, StoreFactory};
use vestige_traits::clock::Clock;

struct Reference;

impl StoreFactory for Reference {
    type Store = ReferenceStore;
    type Home = ReferenceStore;

    async fn new_home(&self, clock: Arc<dyn Clock>) -> ReferenceStore {
        ReferenceStore::new(clock)
    }

    async fn open(&self, home: &ReferenceStore, _clock: Arc<dyn Clock>) -> ReferenceStore {
        home.another_handle()
    }
}

vestige_conformance::conformance_tests!(
    #[tokio::test]
    Reference
);
