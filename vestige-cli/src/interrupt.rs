//! Ctrl-C.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::failure::{CommandResult, Failure};
use crate::output::note;

/// Whether the user has asked to stop. A second request ends the process at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    notify: Notify,
}

impl Interrupt {
    /// Begins to listen. Must be called within a runtime.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        let inner = Arc::clone(&interrupt.0);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if inner.asked.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                inner.notify.notify_waiters();
                tokio::spawn(async {
                    // Most work has ended by then.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    note("stopping at the next good place; Ctrl-C again stops at once");
                });
            }
        });
        interrupt
    }

    /// For work that stops by itself at its next good place.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Drops `work` when the user asks to stop. Stores promise that a dropped write is done or not done.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = CommandResult<T>>) -> CommandResult<T> {
        let asked = self.0.notify.notified();
        if self.is_asked() {
            return Err(Failure::Interrupted);
        }
        tokio::select! {
            biased;
            result = work => result,
            () = asked => Err(Failure::Interrupted),
        }
    }
}
