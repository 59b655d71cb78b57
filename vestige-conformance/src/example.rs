use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use vestige_traits::MemoryStoreResult;
use vestige_traits::clock::ManualClock;

use crate::{ReferenceStore, fixtures};

/// Runs an example of the documentation of [`MemoryStore`](vestige_traits::MemoryStore) on a new, empty
/// store.
///
/// # Panics
///
/// If the example fails, or waits for anything but the store.
#[doc(hidden)]
pub fn example(example: impl AsyncFnOnce(ReferenceStore) -> MemoryStoreResult<()>) {
    let store = ReferenceStore::new(Arc::new(ManualClock::new(fixtures::now())));
    // The reference store never waits, so that one poll is a runtime.
    match pin!(example(store)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => panic!("the example fails: {error}"),
        Poll::Pending => panic!("the example waits for something else than the store"),
    }
}
