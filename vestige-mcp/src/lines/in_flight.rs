//! Counts the requests and answers in flight, so that a client that asks faster than it is answered is made
//! to wait and does not fill the memory of the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// With this many requests and answers in flight, no further message is read.
pub(super) const MAX_IN_FLIGHT: usize = 64;
/// The same while the server waits for an answer of the client: that answer comes behind the requests that
/// the client sent before it.
const MAX_IN_FLIGHT_WHILE_ASKING: usize = 64 * MAX_IN_FLIGHT;
/// How long such an answer is waited for.
const ASKING_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct InFlight {
    count: Arc<Count>,
    /// When the server sent the client a request, if that is not answered.
    asked: Option<Instant>,
}

#[derive(Default)]
struct Count {
    in_flight: AtomicUsize,
    one_left: Notify,
}

/// Counts as one in flight until its last clone is dropped.
#[derive(Clone)]
pub(super) struct Ticket(#[expect(dead_code, reason = "is dropped")] Arc<Counted>);

struct Counted(Arc<Count>);

impl InFlight {
    pub(super) fn enter(&self) -> Ticket {
        self.count.in_flight.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::new(Counted(self.count.clone())))
    }

    /// The server has sent the client a request.
    pub(super) fn asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// The client has answered.
    pub(super) fn answered(&mut self) {
        self.asked = None;
    }

    /// Waits until fewer are in flight than may be.
    pub(super) async fn below_limit(&self) {
        let asking = self.asked.is_some_and(|asked| asked.elapsed() < ASKING_TIMEOUT);
        let limit = if asking { MAX_IN_FLIGHT_WHILE_ASKING } else { MAX_IN_FLIGHT };
        loop {
            let one_left = self.count.one_left.notified();
            if self.count.in_flight.load(Ordering::Relaxed) < limit {
                return;
            }
            one_left.await;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.one_left.notify_waiters();
    }
}
