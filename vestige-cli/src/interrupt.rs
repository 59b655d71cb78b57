//! Ctrl-C, and the signals by which a system or a terminal asks a command to end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::failure::{CommandResult, Failure};
use crate::output::note;

const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
pub(crate) const SIGTERM: u8 = 15;

/// Whether somebody has asked to stop. A second request ends the process at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The signal that asked first; 0 if none did.
    asked: AtomicU8,
    notify: Notify,
}

impl Interrupt {
    /// Begins to listen. Must be called within a runtime.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        interrupt.hear();
        interrupt
    }

    #[cfg(unix)]
    fn hear(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        for number in [SIGINT, SIGTERM, SIGHUP] {
            if number == SIGHUP && !hangup_ends_this() {
                continue;
            }
            let Ok(mut signal) = signal(SignalKind::from_raw(number.into())) else { continue };
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    inner.ask(number);
                }
            });
        }
    }

    #[cfg(not(unix))]
    fn hear(&self) {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                inner.ask(SIGINT);
            }
        });
    }

    /// Fails once somebody has asked: for work that stops by itself at its next good place.
    pub(crate) fn check(&self) -> CommandResult {
        match self.0.asked.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::Interrupted(signal)),
        }
    }

    /// Drops `work` when the user asks to stop. Stores promise that a dropped write is done or not done.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = CommandResult<T>>) -> CommandResult<T> {
        let asked = self.0.notify.notified();
        self.check()?;
        tokio::select! {
            biased;
            result = work => result,
            () = asked => self.check().and(Err(Failure::Interrupted(SIGINT))),
        }
    }
}

impl Inner {
    fn ask(&self, signal: u8) {
        if self.asked.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Of a terminal that closes a command may hear from the system and from the shell.
            if signal != SIGHUP {
                std::process::exit(128 + i32::from(signal));
            }
            return;
        }
        self.notify.notify_waiters();
        tokio::spawn(async {
            // Most work has ended by then.
            tokio::time::sleep(Duration::from_secs(1)).await;
            note("stopping at the next good place; a second Ctrl-C or SIGTERM stops at once");
        });
    }
}

/// Whether a hangup ends the process as it was started. Under `nohup` it does not, and listening would undo
/// that; where the system does not say so, nothing is listened for and the signal does what it always did.
#[cfg(unix)]
fn hangup_ends_this() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) == 0)
}
