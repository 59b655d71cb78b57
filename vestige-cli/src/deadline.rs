//! How long a command waits for its store.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::failure::{CommandResult, Failure};

/// Ends a command whose store does not answer. The time begins when the store is open: how long a person
/// takes to write a text to stdin or to read a page, an upgrade of the store, and a model to be loaded,
/// counts for nothing.
pub(crate) struct Deadline {
    /// None for a command that may take as long as it takes.
    timeout: Option<Duration>,
    /// When the time is up; none before it begins.
    ends: watch::Sender<Option<Instant>>,
}

impl Deadline {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, ends: watch::Sender::new(None) }
    }

    /// Begins the time, or begins it anew.
    pub(crate) fn begin(&self) {
        self.ends.send_replace(self.timeout.and_then(|timeout| Instant::now().checked_add(timeout)));
    }

    /// Gives `work` up when its time is up. Stores promise that a write is done or not done then.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = CommandResult<T>>) -> CommandResult<T> {
        let mut work = Box::pin(work);
        tokio::select! {
            biased;
            result = work.as_mut() => result,
            () = self.up() => {
                // It owns the store, which would wait for its last statement. The process ends soon, and that
                // ends the statement.
                std::mem::forget(work);
                Err(Failure::TimedOut(self.timeout.unwrap_or_default()))
            }
        }
    }

    async fn up(&self) {
        let mut ends = self.ends.subscribe();
        loop {
            let end = *ends.borrow_and_update();
            // The sender outlives this, so waiting for a change does not fail.
            let changed = ends.changed();
            match end {
                None => {
                    let _ = changed.await;
                }
                Some(end) => tokio::select! {
                    // What began the time anew counts, even if the old one is up by now.
                    biased;
                    _ = changed => {}
                    () = tokio::time::sleep_until(end) => return,
                },
            }
        }
    }
}
