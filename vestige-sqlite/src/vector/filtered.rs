//! Filtered subsets: the vectors that a filter admits, stored side by side.
//!
//! Agents search within the same few filters again and again, and the vectors that such a filter admits are
//! spread over all codes and sketches. A subset stores them side by side, so a scan reads memory in order,
//! and its sketches are made around its own mean, so they separate its vectors better.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

use rusqlite::Transaction;
use vestige_traits::{MemoryFilter, MemoryStoreResult};

use super::vectors::{SELECTIVE_FILTER_DIVISOR, Vectors};
use crate::cancellation;
use crate::filter::{Admission, NodeSet};
use crate::journal::{self, State};

/// A subset is built at this many searches by its filter. Building it takes as long as about ten searches.
const BUILD_AFTER_QUERIES: u32 = 16;
/// A smaller subset is not built: its codes are read one by one.
const MIN_VECTORS: usize = 256;
/// The most filters that have a subset, and the most whose searches are counted before they have one.
const MAX_FILTERS: usize = 16;
/// All subsets together hold at most the number of all vectors divided by this.
const BUDGET_DIVISOR: usize = 2;
/// A subset that is further behind than this many changes is dropped, and its filter counted anew.
const MAX_CHANGES: usize = 500;

/// The subsets of recent filters, the most recently used at the end.
#[derive(Debug, Default)]
pub(super) struct FilteredSubsets(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    filter: Arc<MemoryFilter>,
    queries: u32,
    /// The number of vectors in its subset; 0 if it has not been built.
    size: usize,
    subset: Arc<RwLock<Subset>>,
}

/// The vectors of a filter as of one state of the database.
#[derive(Debug, Default)]
struct Subset {
    state: State,
    vectors: Vectors,
}

impl FilteredSubsets {
    /// Runs `question` on the subset of a filter, and builds or updates the subset first where that is due.
    /// None where all vectors should be searched instead. `all` and `admission` are as of `state`.
    pub(super) fn with_subset<T>(
        &self,
        view: &Transaction<'_>,
        state: State,
        all: &Vectors,
        admission: &Admission,
        question: impl FnOnce(&Vectors) -> T,
    ) -> MemoryStoreResult<Option<T>> {
        let Admission { only: Some(only), filter: Some(filter), .. } = admission else { return Ok(None) };
        if !(MIN_VECTORS..=all.len() / SELECTIVE_FILTER_DIVISOR).contains(&only.len()) {
            self.forget(filter);
            return Ok(None);
        }
        let Some(subset) = self.subset_of(filter, only.len(), all.len() / BUDGET_DIVISOR) else {
            return Ok(None);
        };
        if let Ok(subset) = subset.try_read()
            && subset.state == state
        {
            return Ok(Some(question(&subset.vectors)));
        }
        let mut subset = match subset.try_write() {
            Ok(subset) => subset,
            // Another search is building it: this one does not wait.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(_)) => {
                self.forget(filter);
                return Ok(None);
            }
        };
        match cancellation::to_the_end(|| subset.catch_up(state, view, all, only)) {
            Ok(true) => Ok(Some(question(&RwLockWriteGuard::downgrade(subset).vectors))),
            other => {
                self.forget(filter);
                other.map(|_| None)
            }
        }
    }

    /// The number of vectors in the subset of a filter, if it has been built.
    pub(super) fn built_for(&self, admission: &Admission) -> Option<usize> {
        let filter = admission.filter.as_ref()?;
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.filter == *filter)?;
        (entry.size > 0).then_some(entry.size)
    }

    /// Counts a search by a filter, and answers its subset once there were enough. The least recently used
    /// filters make room for it.
    fn subset_of(
        &self,
        filter: &Arc<MemoryFilter>,
        size: usize,
        budget: usize,
    ) -> Option<Arc<RwLock<Subset>>> {
        let mut entries = self.entries();
        let known = entries.iter().position(|entry| entry.filter == *filter);
        let mut entry = match known {
            Some(at) => entries.remove(at),
            None => Entry { filter: Arc::clone(filter), queries: 0, size: 0, subset: Arc::default() },
        };
        entry.queries = entry.queries.saturating_add(1);
        let subset = (entry.queries >= BUILD_AFTER_QUERIES).then(|| Arc::clone(&entry.subset));
        if subset.is_some() {
            entry.size = size;
        }
        entries.push(entry);
        let mut left = budget;
        let kept = entries.iter().rev().take_while(|entry| {
            let fits = entry.size <= left;
            left = left.saturating_sub(entry.size);
            fits
        });
        let surplus = entries.len() - kept.count();
        entries.drain(..surplus);
        // Counted apart: filters that are used once, such as for the last hour, displace no subset.
        for has_subset in [false, true] {
            let mut of_this_kind =
                entries.iter().enumerate().filter(|(_, entry)| (entry.size > 0) == has_subset);
            if let Some((oldest, _)) = of_this_kind.next()
                && of_this_kind.count() >= MAX_FILTERS
            {
                entries.remove(oldest);
            }
        }
        subset
    }

    fn forget(&self, filter: &Arc<MemoryFilter>) {
        self.entries().retain(|entry| entry.filter != *filter);
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subset {
    /// Builds the subset, or applies what changed since it was last used. False where too much changed.
    fn catch_up(
        &mut self,
        state: State,
        view: &Transaction<'_>,
        all: &Vectors,
        only: &NodeSet,
    ) -> MemoryStoreResult<bool> {
        if self.state == State::default() {
            self.vectors = all.gather(only);
        } else {
            let changes = journal::changes(view, self.state, state)?;
            let Some(changes) = changes.filter(|changes| changes.len() <= MAX_CHANGES) else {
                return Ok(false);
            };
            for node in changes {
                if only.contains(node) {
                    self.vectors.take_from(all, node);
                } else {
                    self.vectors.remove(node);
                }
            }
            self.vectors.renew_sketches();
        }
        self.state = state;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str) -> Arc<MemoryFilter> {
        Arc::new(MemoryFilter::new().tags([name]))
    }

    /// Searches by a filter until its subset is built, at the last search and no sooner.
    fn ask_until_built(subsets: &FilteredSubsets, name: &str, size: usize) {
        for n in 1..=BUILD_AFTER_QUERIES {
            assert_eq!(
                subsets.subset_of(&filter(name), size, 1000).is_some(),
                n == BUILD_AFTER_QUERIES,
                "{name}: {n}"
            );
        }
    }

    fn gathered(subsets: &FilteredSubsets) -> Vec<String> {
        subsets
            .entries()
            .iter()
            .filter(|entry| entry.size > 0)
            .map(|entry| entry.filter.tags[0].clone())
            .collect()
    }

    #[test]
    fn the_least_recently_used_subset_makes_room() {
        let subsets = FilteredSubsets::default();
        for name in ["a", "b", "c"] {
            ask_until_built(&subsets, name, 300);
        }
        subsets.subset_of(&filter("a"), 310, 1000);
        assert_eq!(gathered(&subsets), ["b", "c", "a"]);
        ask_until_built(&subsets, "d", 500);
        assert_eq!(gathered(&subsets), ["a", "d"]);
        // It counts as new.
        assert!(subsets.subset_of(&filter("b"), 300, 1000).is_none());
    }

    #[test]
    fn a_filter_that_is_used_once_displaces_no_subset() {
        let subsets = FilteredSubsets::default();
        ask_until_built(&subsets, "a", 300);
        for n in 0..100 {
            assert!(subsets.subset_of(&filter(&n.to_string()), 300, 1000).is_none());
            assert!(subsets.entries().len() <= MAX_FILTERS + 1);
        }
        assert_eq!(gathered(&subsets), ["a"]);
        assert!(subsets.subset_of(&filter("a"), 300, 1000).is_some());
    }

    #[test]
    fn subsets_of_filters_that_are_no_longer_used_make_room() {
        let subsets = FilteredSubsets::default();
        for n in 0..MAX_FILTERS {
            ask_until_built(&subsets, &n.to_string(), 10);
        }
        // By turns, so that each is counted while the other comes.
        for n in 1..=BUILD_AFTER_QUERIES {
            for name in ["a", "b"] {
                assert_eq!(
                    subsets.subset_of(&filter(name), 10, 1000).is_some(),
                    n == BUILD_AFTER_QUERIES,
                    "{name}: {n}"
                );
            }
        }
        let gathered = gathered(&subsets);
        assert_eq!(gathered.len(), MAX_FILTERS);
        assert!(gathered.ends_with(&["a".to_owned(), "b".to_owned()]), "{gathered:?}");
    }
}
