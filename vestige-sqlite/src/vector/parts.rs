//! The vectors that a filter lets through, by themselves.
//!
//! Agents ask within the same few filters again and again, and what these let through is spread over all
//! codes and sketches. Side by side it is read at the pace of memory, and around its own mean it is told
//! apart better.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

use rusqlite::Transaction;
use vestige_traits::{MemoryFilter, MemoryStoreResult};

use super::vectors::{FILTERED, Vectors};
use crate::filter::{Admission, NodeSet};
use crate::journal::{self, State};

/// Gathering and sketching take as long as some ten searches: a filter's vectors are gathered when so many
/// have asked.
const OFTEN: u32 = 16;
/// Of fewer the codes are read one by one.
const LEAST: usize = 256;
/// How many filters are kept that have a part, and how many that are counted until they have one.
const FILTERS: usize = 16;
/// All parts hold no more than one in so many of all vectors.
const BUDGET: usize = 2;
/// With more changes than this since a part was last asked, it counts as a new one.
const CHANGES: usize = 500;

/// The parts of recent filters, the last asked for at the end.
#[derive(Debug, Default)]
pub(super) struct Parts(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    filter: Arc<MemoryFilter>,
    asked: u32,
    /// How many vectors there are in its part; 0 if there is none yet.
    size: usize,
    part: Arc<RwLock<Part>>,
}

/// The vectors of a filter as of one state of the database.
#[derive(Debug, Default)]
struct Part {
    state: State,
    vectors: Vectors,
}

impl Parts {
    /// Asks the vectors that a filter lets through, where they have been gathered or are to be now. `all` and
    /// `admission` are of `state`, as every part is that others use now. None where the question is better
    /// asked of all.
    pub(super) fn ask<T>(
        &self,
        view: &Transaction<'_>,
        state: State,
        all: &Vectors,
        admission: &Admission,
        question: impl FnOnce(&Vectors) -> T,
    ) -> MemoryStoreResult<Option<T>> {
        let Admission { only: Some(only), filter: Some(filter), .. } = admission else { return Ok(None) };
        if !(LEAST..=all.len() / FILTERED).contains(&only.len()) {
            self.forget(filter);
            return Ok(None);
        }
        let Some(part) = self.part_of(filter, only.len(), all.len() / BUDGET) else { return Ok(None) };
        if let Ok(part) = part.try_read()
            && part.state == state
        {
            return Ok(Some(question(&part.vectors)));
        }
        let mut part = match part.try_write() {
            Ok(part) => part,
            // Whoever finds another at work on it does not wait.
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(_)) => {
                self.forget(filter);
                return Ok(None);
            }
        };
        match part.bring_to(state, view, all, only) {
            Ok(true) => Ok(Some(question(&RwLockWriteGuard::downgrade(part).vectors))),
            other => {
                self.forget(filter);
                other.map(|_| None)
            }
        }
    }

    /// For how many memories of a filter the vectors have been gathered.
    pub(super) fn gathered(&self, admission: &Admission) -> Option<usize> {
        let filter = admission.filter.as_ref()?;
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.filter == *filter)?;
        (entry.size > 0).then_some(entry.size)
    }

    /// The part of a filter that was asked for often enough, which the least recently asked for make room
    /// for.
    fn part_of(&self, filter: &Arc<MemoryFilter>, size: usize, budget: usize) -> Option<Arc<RwLock<Part>>> {
        let mut entries = self.entries();
        let known = entries.iter().position(|entry| entry.filter == *filter);
        let mut entry = match known {
            Some(at) => entries.remove(at),
            None => Entry { filter: Arc::clone(filter), asked: 0, size: 0, part: Arc::default() },
        };
        entry.asked = entry.asked.saturating_add(1);
        let part = (entry.asked >= OFTEN).then(|| Arc::clone(&entry.part));
        if part.is_some() {
            entry.size = size;
        }
        entries.push(entry);
        let mut room = budget;
        let kept = entries.iter().rev().take_while(|entry| {
            let fits = entry.size <= room;
            room = room.saturating_sub(entry.size);
            fits
        });
        let surplus = entries.len() - kept.count();
        entries.drain(..surplus);
        // Filters that are asked for once, such as for the last hour, take no place from those that have a
        // part.
        for has_part in [false, true] {
            let mut of_this_kind =
                entries.iter().enumerate().filter(|(_, entry)| (entry.size > 0) == has_part);
            if let Some((oldest, _)) = of_this_kind.next()
                && of_this_kind.count() >= FILTERS
            {
                entries.remove(oldest);
            }
        }
        part
    }

    fn forget(&self, filter: &Arc<MemoryFilter>) {
        self.entries().retain(|entry| entry.filter != *filter);
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Gathers the vectors of `only`, or follows what changed since it was asked last. False where that is
    /// too much.
    fn bring_to(
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
            let Some(changes) = changes.filter(|changes| changes.len() <= CHANGES) else { return Ok(false) };
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
        Arc::new(MemoryFilter { tags: vec![name.to_owned()], ..MemoryFilter::default() })
    }

    /// Asks for a part so often that it is there at the last time, and no sooner.
    fn ask_often(parts: &Parts, name: &str, size: usize) {
        for n in 1..=OFTEN {
            assert_eq!(parts.part_of(&filter(name), size, 1000).is_some(), n == OFTEN, "{name}: {n}");
        }
    }

    fn gathered(parts: &Parts) -> Vec<String> {
        parts
            .entries()
            .iter()
            .filter(|entry| entry.size > 0)
            .map(|entry| entry.filter.tags[0].clone())
            .collect()
    }

    #[test]
    fn the_least_recently_asked_for_makes_room() {
        let parts = Parts::default();
        for name in ["a", "b", "c"] {
            ask_often(&parts, name, 300);
        }
        parts.part_of(&filter("a"), 310, 1000);
        assert_eq!(gathered(&parts), ["b", "c", "a"]);
        ask_often(&parts, "d", 500);
        assert_eq!(gathered(&parts), ["a", "d"]);
        // It counts as new.
        assert!(parts.part_of(&filter("b"), 300, 1000).is_none());
    }

    #[test]
    fn who_asks_once_displaces_no_part() {
        let parts = Parts::default();
        ask_often(&parts, "a", 300);
        for n in 0..100 {
            assert!(parts.part_of(&filter(&n.to_string()), 300, 1000).is_none());
            assert!(parts.entries().len() <= FILTERS + 1);
        }
        assert_eq!(gathered(&parts), ["a"]);
        assert!(parts.part_of(&filter("a"), 300, 1000).is_some());
    }

    #[test]
    fn parts_of_filters_that_no_longer_come_make_room() {
        let parts = Parts::default();
        for n in 0..FILTERS {
            ask_often(&parts, &n.to_string(), 10);
        }
        // By turns, so that each is counted while the other comes.
        for n in 1..=OFTEN {
            for name in ["a", "b"] {
                assert_eq!(parts.part_of(&filter(name), 10, 1000).is_some(), n == OFTEN, "{name}: {n}");
            }
        }
        let gathered = gathered(&parts);
        assert_eq!(gathered.len(), FILTERS);
        assert!(gathered.ends_with(&["a".to_owned(), "b".to_owned()]), "{gathered:?}");
    }
}
