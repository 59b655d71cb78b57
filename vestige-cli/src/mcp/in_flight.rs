//! How many requests are worked on, so that a client that asks faster than it is answered waits, and not the memory of
//! the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How many requests and answers are on their way before no further request is read.
pub(super) const MOST: usize = 64;
/// The same while the server waits for an answer of the client's, which comes behind what the client asked before.
const MOST_WHILE_ASKING: usize = 64 * MOST;
/// How long such an answer is waited for.
const ASKING: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct InFlight {
    places: Arc<Places>,
    /// When the server asked the client something, if that is not answered.
    asked: Option<Instant>,
}

#[derive(Default)]
struct Places {
    taken: AtomicUsize,
    left: Notify,
}

/// Counts until the last copy is dropped.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "is dropped")] Arc<Taken>);

struct Taken(Arc<Places>);

impl InFlight {
    pub(super) fn enter(&self) -> Place {
        self.places.taken.fetch_add(1, Ordering::Relaxed);
        Place(Arc::new(Taken(self.places.clone())))
    }

    /// The server has asked the client something.
    pub(super) fn asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// The client has answered.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) {
        let asking = self.asked.is_some_and(|asked| asked.elapsed() < ASKING);
        let most = if asking { MOST_WHILE_ASKING } else { MOST };
        loop {
            let left = self.places.left.notified();
            if self.places.taken.load(Ordering::Relaxed) < most {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        self.0.left.notify_waiters();
    }
}
