//! A backend as somebody outside this project would write and test it, against what is public: a store that
//! hands every call to another store and counts the calls. It passes the suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vestige_conformance::{ReferenceStore, StoreFactory};
use vestige_traits::backend::for_each_operation;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{MemoryRecord, MemoryStore, MemoryStoreResult};

struct CountingStore<S> {
    inner: S,
    calls: AtomicUsize,
}

impl<S> CountingStore<S> {
    fn new(inner: S) -> Self {
        Self { inner, calls: AtomicUsize::new(0) }
    }
}

macro_rules! count_calls {
    ($( $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),*) -> $answer:ty; )*) => {
        impl<S: MemoryStore + Send + Sync> MemoryStore for CountingStore<S> {
            $( async fn $name $(<$life>)? (&self, $($arg: $type),*) -> MemoryStoreResult<$answer> {
                self.calls.fetch_add(1, Ordering::Relaxed);
                self.inner.$name($($arg),*).await
            } )*
        }
    };
}

for_each_operation!(count_calls);

struct Counting;

impl StoreFactory for Counting {
    type Store = CountingStore<ReferenceStore>;
    type Home = ReferenceStore;

    async fn new_home(&self, clock: Arc<dyn Clock>) -> ReferenceStore {
        ReferenceStore::new(clock)
    }

    async fn open(&self, home: &ReferenceStore, _clock: Arc<dyn Clock>) -> Self::Store {
        CountingStore::new(home.another_handle())
    }
}

vestige_conformance::conformance_tests!(
    #[tokio::test]
    Counting
);

#[tokio::test]
async fn every_call_is_counted() {
    let store = CountingStore::new(ReferenceStore::new(Arc::new(SystemClock)));
    store.insert(&MemoryRecord::new("Deploys are frozen on Fridays.")).await.unwrap();
    assert_eq!(store.count().await.unwrap(), 1);
    assert_eq!(store.calls.load(Ordering::Relaxed), 2);
}
