//! What the readers of one process keep of the rows, and how it follows them by the journal.

use std::sync::{Mutex, PoisonError};

use rusqlite::Transaction;
use vestige_traits::MemoryStoreResult;

use crate::journal::{self, State};

/// What is derived from the rows of nodes.
pub(super) trait Derived: Default {
    /// Forgets what was derived from the nodes that have changed; from all nodes where it is not known which.
    fn forget(&mut self, view: &Transaction<'_>, changes: Option<Vec<i64>>) -> MemoryStoreResult<()>;
}

/// What is kept, as of the latest view that a reader had; or nothing.
#[derive(Debug)]
pub(super) struct Kept<T>(Option<Mutex<AsOf<T>>>);

#[derive(Debug, Default)]
struct AsOf<T> {
    state: State,
    derived: T,
}

impl<T: Derived> Kept<T> {
    pub(super) fn new() -> Self {
        Self(Some(Mutex::default()))
    }

    /// Nothing is kept.
    pub(super) fn off() -> Self {
        Self(None)
    }

    /// Runs `work` with what is kept, as of this view. None where nothing is, or where another reader has
    /// seen a later view.
    pub(super) fn with<R>(
        &self,
        view: &Transaction<'_>,
        work: impl FnOnce(Option<&mut T>) -> MemoryStoreResult<R>,
    ) -> MemoryStoreResult<R> {
        let Some(kept) = &self.0 else { return work(None) };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = journal::state(view)?;
        if now < kept.state {
            return work(None);
        }
        if now > kept.state {
            let changes = journal::changes(view, kept.state, now)?;
            kept.derived.forget(view, changes)?;
            kept.state = now;
        }
        work(Some(&mut kept.derived))
    }
}
