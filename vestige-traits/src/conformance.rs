//! The suite that every backend passes, and what tests of stores need besides.
//!
//! A backend says how its tests get a new store by a [`StoreFactory`], and
//! [`conformance_tests!`](crate::conformance_tests) makes a test of every case,
//! twice: directly and through [`AnyMemoryStore`](crate::AnyMemoryStore). The
//! attribute is that of the runtime's tests. This is the whole file for a
//! backend of your own, here with the [`ReferenceStore`] in its place:
//!
//! ```
//! use std::sync::Arc;
//!
//! use vestige_traits::Clock;
//! use vestige_traits::conformance::{ReferenceStore, StoreFactory};
//!
//! struct Reference;
//!
//! impl StoreFactory for Reference {
//!     type Store = ReferenceStore;
//!     /// What a store lives in: a temporary folder, a database. Here the store itself.
//!     type Home = ReferenceStore;
//!
//!     async fn new_home(&self, clock: Arc<dyn Clock>) -> ReferenceStore {
//!         ReferenceStore::new(clock)
//!     }
//!
//!     async fn open(&self, home: &ReferenceStore, _clock: Arc<dyn Clock>) -> ReferenceStore {
//!         home.another_handle()
//!     }
//! }
//!
//! vestige_traits::conformance_tests!(#[tokio::test] Reference);
//! ```
//!
//! Each case is also a public function of [`cases`], to be run by hand.
//! [`sequences`] compares a store with the reference store under random
//! operations; the macro makes a test of that too. [`FaultStore`] makes any
//! store slow or unreliable, and [`HashEmbedder`] gives vectors without a model.

pub mod cases;
pub mod fixtures;
pub mod hostile;
pub mod sequences;

mod embedder;
mod factory;
mod faults;
mod macros;
mod random;
mod reference;

pub use embedder::HashEmbedder;
pub use factory::{Erased, StoreFactory, TestBed};
pub use faults::{Fault, FaultRule, FaultStore, InjectedFault};
pub use reference::ReferenceStore;
