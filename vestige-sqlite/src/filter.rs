//! Which nodes a filter lets through.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};
use vestige_traits::backend::elapsed_stabilities;
use vestige_traits::{MemoryFilter, MemoryStoreResult};

use crate::codec::to_json;
use crate::error::map;
use crate::journal::{self, State};

const DAY_MICROS: f64 = 86_400e6;

/// A condition on `knowledge_nodes n`, with the values for its parameters.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    terms: Vec<&'static str>,
    values: Vec<Value>,
}

impl Condition {
    /// The condition of a filter; always true if the filter is empty.
    pub(crate) fn of(filter: &MemoryFilter, now: DateTime<Utc>) -> MemoryStoreResult<Self> {
        let mut condition = Self::default();
        // One of a list is given as a JSON array, so that the statement's text does not depend on its length.
        let lists = [
            (
                &filter.domains,
                "n.node IN (SELECT d.node FROM node_domains d WHERE d.domain IN (SELECT value FROM json_each(?)))",
            ),
            (
                &filter.tags,
                "n.node IN (SELECT t.node FROM node_tags t WHERE t.tag IN (SELECT value FROM json_each(?)))",
            ),
            (&filter.node_types, "n.node_type IN (SELECT value FROM json_each(?))"),
            (&filter.codebases, "n.codebase IN (SELECT value FROM json_each(?))"),
            (&filter.sessions, "n.session IN (SELECT value FROM json_each(?))"),
        ];
        for (values, term) in lists {
            if !values.is_empty() {
                condition.and(term, [Value::from(to_json(values)?)]);
            }
        }
        if let Some(from) = filter.created_from {
            condition.and("n.created_at >= ?", [Value::from(from.timestamp_micros())]);
        }
        if let Some(before) = filter.created_before {
            condition.and("n.created_at < ?", [Value::from(before.timestamp_micros())]);
        }
        if let Some(minimum) = filter.min_retrievability {
            let stabilities = elapsed_stabilities(minimum);
            if stabilities.is_finite() {
                condition.and(
                    "NOT EXISTS (SELECT 1 FROM scheduling s WHERE s.memory_id = n.id AND s.last_review IS NOT NULL \
                     AND (? - s.last_review) / ? > s.stability * ?)",
                    [Value::from(now.timestamp_micros()), Value::from(DAY_MICROS), Value::from(stabilities)],
                );
            }
        }
        Ok(condition)
    }

    /// Adds a term that must hold too.
    pub(crate) fn and<const N: usize>(&mut self, term: &'static str, values: [Value; N]) {
        self.terms.push(term);
        self.values.extend(values);
    }

    pub(crate) fn is_always_true(&self) -> bool {
        self.terms.is_empty()
    }

    /// The text behind `WHERE`.
    pub(crate) fn sql(&self) -> String {
        if self.terms.is_empty() { "true".to_owned() } else { self.terms.join(" AND ") }
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    fn holds_for(&self, tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<bool> {
        let sql = format!("SELECT 1 FROM knowledge_nodes n WHERE {} AND n.node = ?", self.sql());
        let mut statement = tx.prepare_cached(&sql).map_err(map)?;
        statement.exists(params_from_iter(self.values.iter().chain([&Value::from(node)]))).map_err(map)
    }

    /// The nodes for which it holds.
    pub(crate) fn nodes(&self, tx: &Transaction<'_>) -> MemoryStoreResult<NodeSet> {
        let sql = format!("SELECT n.node FROM knowledge_nodes n WHERE {}", self.sql());
        let mut statement = tx.prepare_cached(&sql).map_err(map)?;
        let mut rows = statement.query(params_from_iter(&self.values)).map_err(map)?;
        let mut nodes = NodeSet::default();
        while let Some(row) = rows.next().map_err(map)? {
            nodes.insert(row.get(0).map_err(map)?);
        }
        Ok(nodes)
    }
}

/// The nodes that recent filters let through, kept up to date by the journal.
///
/// Agents ask within the same few filters again and again; reading all their nodes would take
/// longer than the search.
#[derive(Debug, Default)]
pub(crate) struct FilterCache(Mutex<Vec<Cached>>);

#[derive(Debug)]
struct Cached {
    filter: Arc<MemoryFilter>,
    state: State,
    nodes: NodeSet,
}

impl FilterCache {
    /// How many filters are kept.
    const ENTRIES: usize = 16;
    /// With more changes than this, asking anew is faster.
    const CHANGES: usize = 500;

    /// What `filter` lets through in this view.
    pub(crate) fn admission(
        &self,
        view: &Transaction<'_>,
        filter: &Arc<MemoryFilter>,
        now: DateTime<Utc>,
    ) -> MemoryStoreResult<Admission> {
        let condition = Condition::of(filter, now)?;
        if condition.is_always_true() {
            return Ok(Admission::default());
        }
        // A retrievability falls with the time alone.
        let lasting = filter.min_retrievability.is_none();
        let only = if lasting { self.nodes(view, filter, &condition)? } else { condition.nodes(view)? };
        Ok(Admission {
            only: Some(only),
            filter: lasting.then(|| Arc::clone(filter)),
            ..Admission::default()
        })
    }

    /// The nodes for which `filter`, whose condition is `condition`, holds in this view.
    fn nodes(
        &self,
        view: &Transaction<'_>,
        filter: &Arc<MemoryFilter>,
        condition: &Condition,
    ) -> MemoryStoreResult<NodeSet> {
        let now = journal::state(view)?;
        let known = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = entries.iter().position(|entry| entry.filter == *filter);
            at.map(|at| entries.remove(at))
        };
        let nodes = match known {
            Some(known) => known.brought_to(now, view, condition)?,
            None => condition.nodes(view)?,
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(Cached { filter: Arc::clone(filter), state: now, nodes: nodes.clone() });
        let surplus = entries.len().saturating_sub(Self::ENTRIES);
        entries.drain(..surplus);
        Ok(nodes)
    }
}

impl Cached {
    fn brought_to(
        self,
        now: State,
        view: &Transaction<'_>,
        condition: &Condition,
    ) -> MemoryStoreResult<NodeSet> {
        let changes = journal::changes(view, self.state, now)?;
        let Some(changes) = changes.filter(|changes| changes.len() <= FilterCache::CHANGES) else {
            return condition.nodes(view);
        };
        let mut nodes = self.nodes;
        for node in changes {
            if condition.holds_for(view, node)? { nodes.insert(node) } else { nodes.remove(node) }
        }
        Ok(nodes)
    }
}

/// A set of nodes, as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeSet {
    words: Vec<u64>,
    len: usize,
}

impl NodeSet {
    pub(crate) fn insert(&mut self, node: i64) {
        let Ok(node) = usize::try_from(node) else { return };
        let (word, bit) = (node / 64, 1 << (node % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.len += 1;
        }
    }

    fn remove(&mut self, node: i64) {
        if self.contains(node)
            && let Ok(node) = usize::try_from(node)
        {
            self.words[node / 64] &= !(1 << (node % 64));
            self.len -= 1;
        }
    }

    pub(crate) fn contains(&self, node: i64) -> bool {
        usize::try_from(node)
            .ok()
            .and_then(|node| self.words.get(node / 64).map(|word| word >> (node % 64) & 1 == 1))
            .unwrap_or(false)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.words.iter().zip(0_i64..).flat_map(|(&word, at)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| i64::from(rest.trailing_zeros()))?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

impl FromIterator<i64> for NodeSet {
    fn from_iter<I: IntoIterator<Item = i64>>(nodes: I) -> Self {
        let mut set = Self::default();
        nodes.into_iter().for_each(|node| set.insert(node));
        set
    }
}

/// Which nodes a search may find: those in `only`, if it says so, without those in `never`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    pub(crate) only: Option<NodeSet>,
    pub(crate) never: NodeSet,
    /// The filter that `only` is all of, if that does not change with the time alone: what was kept for it
    /// may be used again.
    pub(crate) filter: Option<Arc<MemoryFilter>>,
}

impl Admission {
    pub(crate) fn admits(&self, node: i64) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(node)) && !self.never.contains(node)
    }

    /// Keeps only what is in `nodes` too.
    pub(crate) fn restrict(&mut self, nodes: NodeSet) {
        self.filter = None;
        self.only = Some(match self.only.take() {
            None => nodes,
            Some(only) => only.iter().filter(|&node| nodes.contains(node)).collect(),
        });
    }

    /// Leaves `nodes` out.
    pub(crate) fn exclude(&mut self, nodes: &NodeSet) {
        nodes.iter().for_each(|node| self.never.insert(node));
    }

    /// The same of nodes that are all in `only`.
    pub(crate) fn within_filter(&self) -> Self {
        Self { never: self.never.clone(), ..Self::default() }
    }

    /// Whether everything is admitted.
    pub(crate) fn is_everything(&self) -> bool {
        self.only.is_none() && self.never.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: NodeSet = [1, 63, 64, 1000, 63].into_iter().collect();
        assert_eq!(set.len(), 4);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 1000]);
        let mut fewer = set.clone();
        fewer.remove(64);
        fewer.remove(65);
        assert_eq!(fewer.iter().collect::<Vec<_>>(), [1, 63, 1000]);
        assert!(set.contains(64) && !set.contains(65) && !set.contains(-1) && !set.contains(1 << 40));
    }

    #[test]
    fn restrictions_intersect_and_exclusions_subtract() {
        let mut admission = Admission::default();
        assert!(admission.is_everything() && admission.admits(7));
        admission.restrict([1, 2, 3].into_iter().collect());
        admission.restrict([2, 3, 4].into_iter().collect());
        admission.exclude(&[3].into_iter().collect());
        assert_eq!((1..5).filter(|&node| admission.admits(node)).collect::<Vec<_>>(), [2]);
    }
}
