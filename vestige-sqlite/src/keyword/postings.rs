//! The postings of terms in memory: of those that were searched before, then of all where they fit.
//!
//! FTS5 descends a B-tree for the length of every document that it scores, and reads the postings of each
//! term twice. Here a posting holds all that its score needs, and the lists follow the rows by the journal.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::{HashMap, HashMapExt};
use rusqlite::types::ValueRef;
use rusqlite::{Rows, Transaction};
use vestige_traits::analysis::{AnalyzedDocument, AnalyzedQuery, Analyzer, Bm25, FIELD_WEIGHTS};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use super::top_k::Hit;
use super::unit::{Passages, Unit};
use crate::cancellation;
use crate::codec;
use crate::error::{bad_value, map};
use crate::filter::NodeSet;
use crate::journal::{self, State};

/// A passage that holds a term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posting {
    pub(super) unit: Unit,
    /// How many terms the passage holds together.
    pub(super) length: u32,
    /// How often it holds this one, by the weights of the fields, which are halves.
    pub(super) frequency: f32,
}

/// The postings of a question's terms, each in ascending order of nodes and their passages, and what all of
/// them have in common.
pub(super) struct Lists {
    pub(super) bm25: Bm25,
    /// The weight of each term, and the nodes that hold it.
    pub(super) lists: Vec<(f64, Arc<Vec<Posting>>)>,
    pub(super) passages: Arc<Passages>,
}

impl Lists {
    /// A node's hit, by that of its best passage.
    pub(super) fn of_memory(&self, best: Hit) -> Hit {
        best.of_passages(self.passages.of(best.node))
    }
}

/// The lists that the readers of one process share.
#[derive(Debug)]
pub(crate) struct PostingCache(Option<Mutex<Cached>>);

#[derive(Debug)]
struct Cached {
    state: State,
    bm25: Bm25,
    terms: HashMap<String, List>,
    /// Whether the terms are all there are: one that is not among them is in no node.
    whole: bool,
    /// Whether they have been whole before.
    was_whole: bool,
    /// How many postings were read for questions since they were last whole.
    read: usize,
    lengths: Lengths,
    passages: Arc<Passages>,
    /// How many lengths were looked up one by one since all were read.
    lookups: u64,
    /// What all lists take, in postings.
    size: usize,
    /// How many searches there were.
    searches: u64,
}

/// How many terms a passage holds, where it is known; 0 where not. One that holds none has no postings.
#[derive(Debug, Default)]
struct Lengths {
    /// Of the first passage of each node.
    first: Vec<u32>,
    /// Of the others, by their node.
    further: HashMap<u32, Vec<u32>>,
}

impl Lengths {
    fn of(&mut self, unit: Unit) -> &mut u32 {
        match unit.number.checked_sub(1) {
            None => at(&mut self.first, unit.node),
            Some(place) => at(self.further.entry(unit.node).or_default(), place),
        }
    }

    /// Gives each of some postings, which are in their order, with its length.
    fn of_each<E>(
        &mut self,
        postings: &mut [Posting],
        mut give: impl FnMut(&mut Posting, &mut u32) -> Result<(), E>,
    ) -> Result<(), E> {
        for postings in postings.chunk_by_mut(|a, b| a.unit.node == b.unit.node) {
            let Unit { node, number } = postings[0].unit;
            let (first, others) = postings.split_at_mut(usize::from(number == 0));
            for posting in first {
                give(posting, at(&mut self.first, node))?;
            }
            if !others.is_empty() {
                let further = self.further.entry(node).or_default();
                for posting in others {
                    let place = posting.unit.number - 1;
                    give(posting, at(further, place))?;
                }
            }
        }
        Ok(())
    }

    /// Forgets those of a node. Whether one was known.
    fn forget(&mut self, node: i64) -> bool {
        let Ok(node) = u32::try_from(node) else { return false };
        let first = self.first.get_mut(node as usize).map(std::mem::take);
        let further = self.further.remove(&node);
        first.is_some_and(|length| length > 0) || further.is_some()
    }
}

/// A length in a list that grows as far as it has to.
fn at(lengths: &mut Vec<u32>, place: u32) -> &mut u32 {
    let place = place as usize;
    if place >= lengths.len() {
        lengths.resize(place + 1, 0);
    }
    &mut lengths[place]
}

#[derive(Debug)]
struct List {
    postings: Arc<Vec<Posting>>,
    /// The last search that asked for it.
    asked: u64,
}

impl PostingCache {
    /// How many postings are kept, of 16 bytes each. Lists that were not asked for lately go first.
    const MAX_POSTINGS: usize = 2 << 20;
    /// What a list takes beside its postings, in postings.
    const LIST_OVERHEAD: usize = 8;
    /// The lists of all terms are read at once after searches have read this share of all postings. A command
    /// that searches once never pays for them. Lists that are dropped after that are read again only after
    /// searches have read as many postings as there are.
    const LOAD_ALL_AFTER_SHARE: f64 = 1.0 / 64.0;
    /// With more changes than this, reading the lists anew is faster.
    const MAX_CHANGES: usize = 500;
    /// All lengths are read at once after one lookup of a length for each group of this many documents: that
    /// takes no longer than the lookups did.
    const DOCUMENTS_PER_LOOKUP: u64 = 20;

    pub(crate) fn new() -> Self {
        Self(Some(Mutex::new(Cached::new())))
    }

    /// One that keeps nothing, and has no lists.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Where a search finds what holds a term, for people.
    pub(crate) fn place(&self) -> &'static str {
        if self.0.is_some() { "FTS5's postings, kept in memory" } else { "FTS5's index on disk" }
    }

    /// The lists of terms as of this view. None where FTS5 has to be asked: where nothing is kept, or another
    /// reader has seen a later view.
    pub(super) fn lists(
        &self,
        view: &Transaction<'_>,
        query: &AnalyzedQuery,
    ) -> MemoryStoreResult<Option<Lists>> {
        let Some(cached) = &self.0 else { return Ok(None) };
        let now = journal::state(view)?;
        let mut cached = cached.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.state > now {
            return Ok(None);
        }
        cached.lists(view, now, query).map(Some)
    }
}

impl Cached {
    fn new() -> Self {
        Self {
            state: State::default(),
            bm25: Bm25 { documents: 0, mean_length: 0.0 },
            terms: HashMap::new(),
            whole: false,
            was_whole: false,
            read: 0,
            lengths: Lengths::default(),
            passages: Arc::default(),
            lookups: 0,
            size: 0,
            searches: 0,
        }
    }

    fn lists(
        &mut self,
        view: &Transaction<'_>,
        now: State,
        query: &AnalyzedQuery,
    ) -> MemoryStoreResult<Lists> {
        if self.state != now
            && let Err(error) = cancellation::to_the_end(|| self.catch_up(view, now))
        {
            // Half caught up: the next search starts from nothing.
            *self = Self::new();
            return Err(error);
        }
        self.searches += 1;
        let unknown = |term: &&String| !self.whole && !self.terms.contains_key(*term);
        let unknown: Vec<&String> = query.terms.iter().map(|term| &term.text).filter(unknown).collect();
        if !unknown.is_empty() {
            if self.all_are_due() {
                cancellation::to_the_end(|| self.read_all(view))?;
            } else {
                self.read(view, &unknown)?;
            }
        }
        let terms = &mut self.terms;
        let holding = |term: &str| terms.get(term).map_or(0, |list| list.postings.len() as u64);
        let counting = query.rarest(|term| Ok::<_, MemoryStoreError>(holding(term)))?;
        let mut lists = Vec::with_capacity(counting.len());
        for term in counting {
            if let Some(list) = terms.get_mut(&term.text) {
                list.asked = self.searches;
                lists.push((term.weight, Arc::clone(&list.postings)));
            }
        }
        self.shrink();
        Ok(Lists { bm25: self.bm25, lists, passages: Arc::clone(&self.passages) })
    }

    fn catch_up(&mut self, view: &Transaction<'_>, now: State) -> MemoryStoreResult<()> {
        let changes = journal::changes(view, self.state, now)?;
        match changes.filter(|nodes| nodes.len() <= PostingCache::MAX_CHANGES) {
            Some(nodes) => self.apply(view, &nodes)?,
            None => {
                self.clear();
                self.passages = Arc::new(super::index::passages(view)?);
            }
        }
        self.bm25 = totals(view)?;
        self.state = now;
        Ok(())
    }

    /// Brings the lists up to the rows of changed nodes.
    fn apply(&mut self, view: &Transaction<'_>, nodes: &[i64]) -> MemoryStoreResult<()> {
        let analyzer = Analyzer::default();
        let mut documents = Vec::with_capacity(nodes.len());
        let mut listed = NodeSet::default();
        for &node in nodes {
            // Where all terms are known all lengths are, and a node without one is in no list.
            if self.lengths.forget(node) || !self.whole {
                listed.insert(node);
            }
            if self.passages.of(node) > 1 {
                Arc::make_mut(&mut self.passages).forget(node);
            }
            let Some(row) = super::index::Row::read(view, node)? else { continue };
            for (number, document) in row.documents(&analyzer).enumerate() {
                if number > 0 {
                    Arc::make_mut(&mut self.passages).add(node);
                }
                let unit = Unit::new(node, number)?;
                let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
                *self.lengths.of(unit) = length;
                documents.push((unit, length, document));
            }
        }
        if listed.len() > 0 {
            for list in self.terms.values_mut() {
                let is_listed = |posting: &Posting| listed.contains(posting.unit.node.into());
                if list.postings.iter().any(is_listed) {
                    self.size -= list.postings.len();
                    Arc::make_mut(&mut list.postings).retain(|posting| !is_listed(posting));
                    self.size += list.postings.len();
                }
            }
        }
        for (unit, length, document) in documents {
            self.insert(unit, length, &document);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.terms.clear();
        self.whole = false;
        self.lengths = Lengths::default();
        self.lookups = 0;
        self.size = 0;
    }

    /// Puts a passage into the lists of its terms.
    fn insert(&mut self, unit: Unit, length: u32, document: &AnalyzedDocument) {
        let mut frequencies: HashMap<&str, f32> = HashMap::new();
        for (field, weight) in document.fields.iter().zip(FIELD_WEIGHTS) {
            for term in field {
                *frequencies.entry(&term.text).or_default() += weight as f32;
            }
        }
        for (term, frequency) in frequencies {
            if self.whole && !self.terms.contains_key(term) {
                self.keep(term.to_owned(), Vec::new());
            }
            let Some(list) = self.terms.get_mut(term) else { continue };
            if let Err(at) = list.postings.binary_search_by_key(&unit, |known| known.unit) {
                Arc::make_mut(&mut list.postings).insert(at, Posting { unit, length, frequency });
                self.size += 1;
            }
        }
    }

    /// Whether the lists of all terms are worth reading, and fit.
    fn all_are_due(&self) -> bool {
        let postings = self.bm25.documents as f64 * self.bm25.mean_length;
        let share = if self.was_whole { 1.0 } else { PostingCache::LOAD_ALL_AFTER_SHARE };
        postings <= PostingCache::MAX_POSTINGS as f64 && self.read as f64 >= share * postings
    }

    /// Reads the lists of all terms. Where it fails, those that are known are whole.
    fn read_all(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        self.clear();
        self.read_lengths(view)?;
        let mut statement =
            view.prepare_cached("SELECT term, doc, col FROM memory_term_places").map_err(map)?;
        let lists = lists_of(statement.query([]).map_err(map)?)?;
        for (term, mut list) in lists {
            let Ok(()) = self.lengths.of_each(&mut list, |posting, length| {
                posting.length = *length;
                Ok::<_, Infallible>(())
            });
            self.keep(term, list);
        }
        (self.whole, self.was_whole, self.read) = (true, true, 0);
        tracing::debug!(terms = self.terms.len(), size = self.size, "loaded the postings of all terms");
        Ok(())
    }

    /// Reads the lists of terms that are not known. Where it fails, those that are known are whole.
    fn read(&mut self, view: &Transaction<'_>, terms: &[&String]) -> MemoryStoreResult<()> {
        // One statement for all: opening this table costs more than a short list.
        let mut statement = view
            .prepare_cached(
                "SELECT term, doc, col FROM memory_term_places WHERE term IN (SELECT value FROM json_each(?))",
            )
            .map_err(map)?;
        let wanted = serde_json::to_string(terms).unwrap_or_default();
        let lists = lists_of(statement.query([wanted]).map_err(map)?)?;
        if self.lookups > self.bm25.documents / PostingCache::DOCUMENTS_PER_LOOKUP {
            self.read_lengths(view)?;
        }
        let mut sizes =
            view.prepare_cached("SELECT sz FROM memory_terms_docsize WHERE id = ?").map_err(map)?;
        for (term, mut list) in lists {
            self.lengths.of_each(&mut list, |posting, length| {
                if *length == 0 {
                    let mut rows = sizes.query([posting.unit.rowid()]).map_err(map)?;
                    if let Some(row) = rows.next().map_err(map)? {
                        *length = terms_in(row.get_ref(0).map_err(map)?);
                    }
                    self.lookups += 1;
                }
                posting.length = *length;
                Ok::<_, MemoryStoreError>(())
            })?;
            self.read += list.len();
            self.keep(term, list);
        }
        for &term in terms {
            if !self.terms.contains_key(term) {
                self.keep(term.clone(), Vec::new());
            }
        }
        Ok(())
    }

    fn keep(&mut self, term: String, mut postings: Vec<Posting>) {
        postings.shrink_to_fit();
        self.size += PostingCache::LIST_OVERHEAD + postings.len();
        self.terms.insert(term, List { postings: Arc::new(postings), asked: 0 });
    }

    fn read_lengths(&mut self, view: &Transaction<'_>) -> MemoryStoreResult<()> {
        let mut statement = view.prepare_cached("SELECT id, sz FROM memory_terms_docsize").map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        while let Some(row) = rows.next().map_err(map)? {
            let unit = Unit::of_rowid(row.get(0).map_err(map)?)?;
            *self.lengths.of(unit) = terms_in(row.get_ref(1).map_err(map)?);
        }
        self.lookups = 0;
        Ok(())
    }

    /// Lets go of the lists that were not asked for longest, where all of them are too large.
    fn shrink(&mut self) {
        if self.size <= PostingCache::MAX_POSTINGS {
            return;
        }
        let mut ages: Vec<(u64, usize)> = self.terms.values().map(|list| (list.asked, list.size())).collect();
        ages.sort_unstable();
        let mut surplus = self.size - PostingCache::MAX_POSTINGS / 2;
        let mut oldest = 0;
        for (asked, postings) in ages {
            oldest = asked;
            surplus = surplus.saturating_sub(postings);
            if surplus == 0 {
                break;
            }
        }
        self.terms.retain(|_, list| list.asked > oldest);
        self.whole = false;
        self.size = self.terms.values().map(List::size).sum();
    }
}

impl List {
    fn size(&self) -> usize {
        PostingCache::LIST_OVERHEAD + self.postings.len()
    }
}

/// The lists of a statement that gives term, row and field of each place, term by term in the order of rows.
/// Their lengths are missing.
fn lists_of(mut rows: Rows<'_>) -> MemoryStoreResult<Vec<(String, Vec<Posting>)>> {
    let mut lists: Vec<(String, Vec<Posting>)> = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        let bytes = |at, column| {
            row.get_ref(at).map_err(map)?.as_bytes().map_err(|error| bad_value(column, error.to_string()))
        };
        let term = bytes(0, "term")?;
        let unit = Unit::of_rowid(row.get(1).map_err(map)?)?;
        let weight = FIELD_WEIGHTS[match bytes(2, "col")? {
            b"content" => 0,
            b"node_type" => 1,
            _ => 2,
        }];
        let frequency = weight as f32;
        if lists.last().is_none_or(|(last, _)| last.as_bytes() != term) {
            let term = str::from_utf8(term).map_err(|error| bad_value("term", error.to_string()))?;
            lists.push((term.to_owned(), Vec::new()));
        }
        let Some((_, list)) = lists.last_mut() else { continue };
        match list.last_mut() {
            Some(last) if last.unit == unit => last.frequency += frequency,
            _ => list.push(Posting { unit, length: 0, frequency }),
        }
    }
    for (_, list) in &mut lists {
        if list.last().is_some_and(|last| last.unit.number > 0) {
            sort(list);
        }
    }
    Ok(lists)
}

/// Sorts postings as FTS5 has them: the first passages of all nodes, then the second ones.
fn sort(list: &mut Vec<Posting>) {
    let place = |posting: &Posting| posting.unit.node as usize;
    let nodes = list.iter().map(place).max().map_or(0, |last| last + 1);
    if nodes > 4 * list.len() {
        return list.sort_by_key(|posting| posting.unit);
    }
    // Counted by node (Knuth, "The Art of Computer Programming", volume 3, 5.2, algorithm D).
    // Those of one node are in order.
    let mut ends = vec![0; nodes];
    list.iter().for_each(|posting| ends[place(posting)] += 1);
    let mut before = 0;
    for end in &mut ends {
        before += *end;
        *end = before;
    }
    let mut sorted = list.clone();
    for posting in list.iter().rev() {
        let end = &mut ends[place(posting)];
        *end -= 1;
        sorted[*end] = *posting;
    }
    *list = sorted;
}

/// How many terms a document holds: FTS5 keeps their number in each column (documentation of FTS5, section
/// 9.3).
fn terms_in(size: ValueRef<'_>) -> u32 {
    let terms = codec::varints(size.as_blob().unwrap_or_default()).sum::<u64>();
    u32::try_from(terms).unwrap_or(u32::MAX)
}

/// How many documents the index holds, and their mean length: the "averages" record of FTS5 (documentation of
/// FTS5, section 9.2).
pub(super) fn totals(view: &Transaction<'_>) -> MemoryStoreResult<Bm25> {
    let mut statement =
        view.prepare_cached("SELECT block FROM memory_terms_data WHERE id = 1").map_err(map)?;
    let mut rows = statement.query([]).map_err(map)?;
    let Some(row) = rows.next().map_err(map)? else { return Ok(Bm25 { documents: 0, mean_length: 0.0 }) };
    let block = row.get_ref(0).map_err(map)?.as_blob().unwrap_or_default();
    let mut numbers = codec::varints(block);
    let documents = numbers.next().unwrap_or(0);
    let terms: u64 = numbers.sum();
    Ok(Bm25 { documents, mean_length: terms as f64 / documents.max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_are_sorted_by_node_and_passage() {
        for nodes in [3, 50, 3000] {
            let row = |n: u32| Unit { node: n * 7 % nodes, number: 0 };
            let mut rows: Vec<Unit> = (0..100).map(row).collect();
            rows.extend((0..60).map(|n| Unit { number: 1 + n % 3, ..row(n * n) }));
            let by_row = |unit: &Unit| (unit.number, unit.node);
            rows.sort_unstable_by_key(by_row);
            rows.dedup();
            let posting = |(n, &unit): (u32, &Unit)| Posting { unit, length: n, frequency: 1.0 };
            let mut list: Vec<Posting> = (0..).zip(&rows).map(posting).collect();
            let mut expected = list.clone();
            expected.sort_unstable_by_key(|posting| posting.unit);
            sort(&mut list);
            assert_eq!(list, expected);
        }
    }
}
