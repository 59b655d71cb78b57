use std::fmt;
use std::future::Future;
use std::sync::Arc;

use vestige_traits::clock::{Clock, ManualClock};
use vestige_traits::{AnyMemoryStore, MemoryStore};

use super::fixtures;

/// How the suite gets stores of one backend.
///
/// Write the methods as `async fn`s.
pub trait StoreFactory: Send + Sync {
    /// The store under test.
    type Store: MemoryStore + Send + Sync + 'static;

    /// Where a store lives: a temporary folder, a database. It outlives the handles on the store.
    type Home: Send + Sync;

    /// Why the suite cannot run here, such as a server that is missing. Every case then passes at
    /// once and says so. None where it can, which is the default.
    fn skip(&self) -> Option<String> {
        None
    }

    /// A place for a new, empty store. The clock is the one that [`open`](Self::open) will get.
    fn new_home(&self, clock: Arc<dyn Clock>) -> impl Future<Output = Self::Home> + Send;

    /// A handle on the store that lives there, as another process would open it. It is bound to no model yet.
    ///
    /// The store must take every time from `clock`.
    fn open(&self, home: &Self::Home, clock: Arc<dyn Clock>) -> impl Future<Output = Self::Store> + Send;

    /// Cleans up after a case that passed, where dropping the home is not enough. Does nothing by default.
    fn remove(&self, home: Self::Home) -> impl Future<Output = ()> + Send {
        async { drop(home) }
    }
}

impl<F: StoreFactory> StoreFactory for &F {
    type Store = F::Store;
    type Home = F::Home;

    fn skip(&self) -> Option<String> {
        (**self).skip()
    }

    async fn new_home(&self, clock: Arc<dyn Clock>) -> F::Home {
        (**self).new_home(clock).await
    }

    async fn open(&self, home: &F::Home, clock: Arc<dyn Clock>) -> F::Store {
        (**self).open(home, clock).await
    }

    async fn remove(&self, home: F::Home) {
        (**self).remove(home).await;
    }
}

/// The stores of another factory behind [`AnyMemoryStore`].
#[derive(Clone, Copy, Debug)]
pub struct Erased<F>(pub F);

impl<F: StoreFactory> StoreFactory for Erased<F> {
    type Store = AnyMemoryStore;
    type Home = F::Home;

    fn skip(&self) -> Option<String> {
        self.0.skip()
    }

    async fn new_home(&self, clock: Arc<dyn Clock>) -> F::Home {
        self.0.new_home(clock).await
    }

    async fn open(&self, home: &F::Home, clock: Arc<dyn Clock>) -> AnyMemoryStore {
        AnyMemoryStore::new(self.0.open(home, clock).await)
    }

    async fn remove(&self, home: F::Home) {
        self.0.remove(home).await;
    }
}

/// A new store with its clock: what a case works on.
pub struct TestBed<F: StoreFactory> {
    /// A handle on the store.
    pub store: F::Store,
    /// The store's clock. It begins at [`fixtures::now`].
    pub clock: Arc<ManualClock>,
    home: F::Home,
    factory: F,
}

impl<F: StoreFactory> TestBed<F> {
    /// A new, empty store; none where the factory [skips](StoreFactory::skip), which is printed.
    pub async fn new(factory: F) -> Option<Self> {
        if let Some(reason) = factory.skip() {
            #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
            {
                eprintln!("SKIPPED: {reason}");
            }
            return None;
        }
        let clock = Arc::new(ManualClock::new(fixtures::now()));
        let home = factory.new_home(Arc::<ManualClock>::clone(&clock)).await;
        let store = factory.open(&home, Arc::<ManualClock>::clone(&clock)).await;
        Some(Self { store, clock, home, factory })
    }

    /// Another handle on the same store.
    pub async fn another_handle(&self) -> F::Store {
        self.factory.open(&self.home, Arc::<ManualClock>::clone(&self.clock)).await
    }

    /// Closes the store and cleans up.
    pub async fn remove(self) {
        let Self { store, home, factory, .. } = self;
        drop(store);
        factory.remove(home).await;
    }
}

impl<F: StoreFactory> fmt::Debug for TestBed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBed").field("clock", &self.clock).finish_non_exhaustive()
    }
}
