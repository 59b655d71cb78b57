//! What was asked of a store and what it acknowledged, so what it has to hold.

use std::collections::BTreeMap;

use super::snapshot::{Link, Snapshot, Text};

/// The oracle of one store: every state that a memory may be in.
///
/// Something that was asked and not acknowledged may be done or not. After [`check`](Self::check) only what
/// was seen counts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By id; none is a memory that is not there.
    memories: BTreeMap<String, Vec<Option<Text>>>,
    /// Memories whose id the store was about to choose.
    unborn: Vec<Text>,
    links: BTreeMap<Link, Vec<bool>>,
    /// The fewest and the most reviews.
    reviews: BTreeMap<String, (u64, u64)>,
    /// Memories that are stored together or not at all, by id.
    together: Vec<Vec<String>>,
    acknowledged: u64,
}

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// What was acknowledged and is not there, or says something else.
    pub(super) lost: Vec<String>,
    /// What nobody asked for, or what was done by half.
    pub(super) wrong: Vec<String>,
}

impl Ledger {
    /// How many changes were acknowledged since this was asked before.
    pub(super) fn take_acknowledged(&mut self) -> u64 {
        std::mem::take(&mut self.acknowledged)
    }

    /// Memories that are certainly there, with what they say.
    pub(super) fn certain(&self) -> Vec<(&str, &Text)> {
        let certain = self.memories.iter().filter_map(|(id, states)| match states.as_slice() {
            [Some(text)] => Some((id.as_str(), text)),
            _ => None,
        });
        certain.collect()
    }

    /// A link that is certainly there.
    pub(super) fn any_link(&self) -> Option<Link> {
        let there = |(link, states): (&Link, &Vec<bool>)| (*states == [true]).then(|| link.clone());
        self.links.iter().find_map(there)
    }

    /// A new memory was asked for; the store chooses its id.
    pub(super) fn ask_new(&mut self, text: &Text) {
        self.unborn.push(text.clone());
    }

    /// A new memory was stored under this id.
    pub(super) fn acknowledge_new(&mut self, id: &str, text: &Text) {
        if let Some(at) = self.unborn.iter().position(|unborn| unborn == text) {
            self.unborn.swap_remove(at);
        }
        self.acknowledge(id, Some(text));
    }

    /// A memory was to be stored, changed, or deleted where `text` is none.
    pub(super) fn ask(&mut self, id: &str, text: Option<&Text>) {
        // What is changed by itself is no longer stored with others.
        self.together.retain(|ids| ids.iter().all(|together| together != id));
        self.memories.entry(id.to_owned()).or_insert_with(|| vec![None]).push(text.cloned());
    }

    /// That was done.
    pub(super) fn acknowledge(&mut self, id: &str, text: Option<&Text>) {
        self.memories.insert(id.to_owned(), vec![text.cloned()]);
        self.acknowledged += 1;
    }

    /// These are stored in one transaction.
    pub(super) fn ask_together(&mut self, ids: Vec<String>) {
        self.together.push(ids);
    }

    /// A link was to be there, or not.
    pub(super) fn ask_link(&mut self, link: &Link, there: bool) {
        self.links.entry(link.clone()).or_insert_with(|| vec![false]).push(there);
    }

    /// That was done.
    pub(super) fn acknowledge_link(&mut self, link: &Link, there: bool) {
        self.links.insert(link.clone(), vec![there]);
        self.acknowledged += 1;
    }

    /// A review was to be recorded.
    pub(super) fn ask_review(&mut self, id: &str) {
        self.reviews.entry(id.to_owned()).or_default().1 += 1;
    }

    /// That was done.
    pub(super) fn acknowledge_review(&mut self, id: &str) {
        self.reviews.entry(id.to_owned()).or_default().0 += 1;
        self.acknowledged += 1;
    }

    /// Compares, and from then on expects what was seen.
    pub(super) fn check(&mut self, seen: &Snapshot) -> Judgement {
        let mut found = Judgement { lost: Vec::new(), wrong: seen.contradictions.clone() };
        self.check_memories(seen, &mut found);
        self.check_links(seen, &mut found);
        self.check_reviews(seen, &mut found);
        for together in self.together.drain(..) {
            let there = together.iter().filter(|id| seen.memories.contains_key(*id)).count();
            if there != 0 && there != together.len() {
                found
                    .wrong
                    .push(format!("of {} memories of one transaction {there} are there", together.len()));
            }
        }
        found
    }

    fn check_memories(&mut self, seen: &Snapshot, found: &mut Judgement) {
        for (id, states) in &mut self.memories {
            let state = seen.memories.get(id).cloned();
            if !states.contains(&state) {
                found.lost.push(match (&state, states.as_slice()) {
                    (Some(text), [None]) => format!("memory {id} was deleted and is there: {text:?}"),
                    (Some(text), _) => format!("memory {id} says something else: {text:?}"),
                    (None, _) => format!("memory {id} is gone"),
                });
            }
            *states = vec![state];
        }
        for (id, text) in &seen.memories {
            if self.memories.contains_key(id) {
                continue;
            }
            match self.unborn.iter().position(|unborn| unborn == text) {
                Some(at) => drop(self.unborn.swap_remove(at)),
                None => found.wrong.push(format!("nobody asked for memory {id}: {text:?}")),
            }
            self.memories.insert(id.clone(), vec![Some(text.clone())]);
        }
        self.unborn.clear();
    }

    fn check_links(&mut self, seen: &Snapshot, found: &mut Judgement) {
        for (link, states) in &mut self.links {
            // The links of a memory go with it.
            let ends = [&link.0, &link.1].iter().all(|end| seen.memories.contains_key(*end));
            let there = seen.links.contains(link);
            if ends && !states.contains(&there) {
                let what = if there { "was removed and is there" } else { "is gone" };
                found.lost.push(format!("the link {link:?} {what}"));
            }
            *states = vec![there];
        }
        let unasked = seen.links.iter().filter(|link| !self.links.contains_key(*link));
        found.wrong.extend(unasked.map(|link| format!("nobody asked for the link {link:?}")));
    }

    fn check_reviews(&mut self, seen: &Snapshot, found: &mut Judgement) {
        for (id, (fewest, most)) in &mut self.reviews {
            let count = seen.reviews.get(id).copied().unwrap_or(0);
            if count < *fewest {
                found.lost.push(format!("of {fewest} reviews of {id} the log has {count}"));
            } else if count > *most {
                found.wrong.push(format!("{most} reviews of {id} were asked for, the log has {count}"));
            }
            (*fewest, *most) = (count, count);
        }
        let unasked = seen.reviews.keys().filter(|id| !self.reviews.contains_key(*id));
        found.wrong.extend(unasked.map(|id| format!("nobody asked for reviews of {id}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Text {
        Text { content: content.to_owned(), tags: vec!["a".to_owned()] }
    }

    fn seen(memories: &[(&str, &str)]) -> Snapshot {
        let memories = memories.iter().map(|(id, content)| ((*id).to_owned(), text(content))).collect();
        Snapshot { memories, ..Snapshot::default() }
    }

    #[test]
    fn an_acknowledged_memory_that_is_gone_or_says_something_else_is_lost_once() {
        for state in [&[][..], &[("1", "other")]] {
            let mut ledger = Ledger::default();
            ledger.ask_new(&text("one"));
            ledger.acknowledge_new("1", &text("one"));
            assert_eq!(ledger.check(&seen(&[("1", "one")])), Judgement::default());
            let found = ledger.check(&seen(state));
            assert_eq!((found.lost.len(), found.wrong.len()), (1, 0), "{found:?}");
            assert_eq!(ledger.check(&seen(state)), Judgement::default());
            assert_eq!(ledger.take_acknowledged(), 1);
        }
    }

    #[test]
    fn a_memory_whose_tags_are_gone_is_lost() {
        let mut ledger = Ledger::default();
        ledger.acknowledge("1", Some(&text("one")));
        let mut state = seen(&[("1", "one")]);
        state.memories.get_mut("1").unwrap().tags.clear();
        assert_eq!(ledger.check(&state).lost.len(), 1);
    }

    #[test]
    fn what_was_not_acknowledged_is_there_whole_or_not_at_all() {
        let asked = || {
            let mut ledger = Ledger::default();
            ledger.ask_new(&text("one"));
            ledger
        };
        assert_eq!(asked().check(&seen(&[])), Judgement::default());
        assert_eq!(asked().check(&seen(&[("1", "one")])), Judgement::default());
        assert_eq!(asked().check(&seen(&[("1", "on")])).wrong.len(), 1);
        assert_eq!(asked().check(&seen(&[("1", "one"), ("2", "one")])).wrong.len(), 1);
    }

    #[test]
    fn a_change_that_was_not_acknowledged_leaves_the_old_or_the_new_text() {
        let asked = |new: Option<&Text>| {
            let mut ledger = Ledger::default();
            ledger.acknowledge("1", Some(&text("old")));
            ledger.ask("1", new);
            ledger
        };
        let new = text("new");
        assert_eq!(asked(Some(&new)).check(&seen(&[("1", "old")])), Judgement::default());
        assert_eq!(asked(Some(&new)).check(&seen(&[("1", "new")])), Judgement::default());
        assert_eq!(asked(Some(&new)).check(&seen(&[("1", "else")])).lost.len(), 1);
        assert_eq!(asked(Some(&new)).check(&seen(&[])).lost.len(), 1);
        assert_eq!(asked(None).check(&seen(&[])), Judgement::default());
    }

    #[test]
    fn an_acknowledged_deletion_that_is_undone_is_lost() {
        let mut ledger = Ledger::default();
        ledger.acknowledge("1", Some(&text("one")));
        ledger.acknowledge("1", None);
        assert_eq!(ledger.check(&seen(&[("1", "one")])).lost.len(), 1);
    }

    #[test]
    fn a_transaction_that_is_there_by_half_is_wrong() {
        let asked = || {
            let mut ledger = Ledger::default();
            ledger.ask("1", Some(&text("one")));
            ledger.ask("2", Some(&text("two")));
            ledger.ask_together(vec!["1".to_owned(), "2".to_owned()]);
            ledger
        };
        assert_eq!(asked().check(&seen(&[])), Judgement::default());
        assert_eq!(asked().check(&seen(&[("1", "one"), ("2", "two")])), Judgement::default());
        assert_eq!(asked().check(&seen(&[("1", "one")])).wrong.len(), 1);
        let mut deleted = asked();
        deleted.ask("2", None);
        deleted.acknowledge("2", None);
        assert_eq!(deleted.check(&seen(&[("1", "one")])), Judgement::default());
    }

    #[test]
    fn links_and_reviews_are_counted_too() {
        let link: Link = ("1".to_owned(), "2".to_owned(), "related".to_owned());
        let mut ledger = Ledger::default();
        ledger.acknowledge("1", Some(&text("one")));
        ledger.acknowledge("2", Some(&text("two")));
        ledger.ask_link(&link, true);
        ledger.acknowledge_link(&link, true);
        ledger.ask_review("1");
        ledger.acknowledge_review("1");
        let mut state = seen(&[("1", "one"), ("2", "two")]);
        assert_eq!(ledger.check(&state).lost.len(), 2);
        state.links.insert(link);
        state.reviews.insert("1".to_owned(), 1);
        // A link that was gone is there again, and a review that nobody gave.
        let found = ledger.check(&state);
        assert_eq!((found.lost.len(), found.wrong.len()), (1, 1), "{found:?}");
    }
}
