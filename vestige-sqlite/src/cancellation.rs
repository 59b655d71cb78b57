//! Whether anybody still waits for what this thread reads.
//!
//! A caller that drops the future of a read has gone. Its job then ends at the next look: statements look by
//! SQLite's progress handler, scans in memory once for each block. The answer of a job that ended so is never
//! seen.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use rusqlite::Connection;
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

/// How many instructions of SQLite's virtual machine pass between two looks: well below a millisecond.
const INSTRUCTIONS_BETWEEN_LOOKS: i32 = 1000;

thread_local! {
    static CALLER: RefCell<Option<Weak<()>>> = const { RefCell::new(None) };
}

/// Held by the future that waits for an answer, and dropped with it.
#[derive(Default)]
pub(crate) struct Waiting(Arc<()>);

/// The other end of [`Waiting`], on the thread that works for it.
#[derive(Clone)]
pub(crate) struct Caller(Weak<()>);

impl Waiting {
    pub(crate) fn caller(&self) -> Caller {
        Caller(Arc::downgrade(&self.0))
    }
}

impl Caller {
    /// One that has gone already.
    #[cfg(test)]
    pub(crate) fn gone() -> Self {
        Self(Weak::new())
    }

    /// Runs `work`, which may end early once the caller has gone.
    pub(crate) fn served_by<T>(self, work: impl FnOnce() -> T) -> T {
        with(Some(self.0), work)
    }
}

/// Runs `work` to its end. For what later calls need as well, such as an index in memory: if it were given up
/// with each caller, callers that wait for a shorter time than it takes would never be served.
pub(crate) fn to_the_end<T>(work: impl FnOnce() -> T) -> T {
    with(None, work)
}

fn with<T>(caller: Option<Weak<()>>, work: impl FnOnce() -> T) -> T {
    /// Puts the caller before it back, after a panic too.
    struct Before(Option<Weak<()>>);
    impl Drop for Before {
        fn drop(&mut self) {
            CALLER.set(self.0.take());
        }
    }
    let _before = Before(CALLER.replace(caller));
    work()
}

/// Whether the caller has gone. Once it has, this stays true until the end of the job.
pub(crate) fn caller_has_gone() -> bool {
    CALLER.with_borrow(|caller| caller.as_ref().is_some_and(|caller| caller.strong_count() == 0))
}

/// Fails where the caller has gone.
pub(crate) fn check() -> MemoryStoreResult<()> {
    if !caller_has_gone() {
        return Ok(());
    }
    Err(MemoryStoreError::Unavailable {
        reason: "the call was given up before its answer was there".to_owned(),
        retryable: true,
        source: None,
    })
}

/// Lets the statements of a connection end where the caller has gone.
pub(crate) fn watch(connection: &Connection) -> rusqlite::Result<()> {
    connection.progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, Some(caller_has_gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_counts_while_its_work_runs_and_not_for_work_that_others_need() {
        assert!(!caller_has_gone());
        let waiting = Waiting::default();
        waiting.caller().served_by(|| {
            assert!(check().is_ok());
            drop(waiting);
            assert!(caller_has_gone() && check().is_err());
            to_the_end(|| assert!(check().is_ok()));
            assert!(caller_has_gone());
        });
        assert!(!caller_has_gone());
    }
}
