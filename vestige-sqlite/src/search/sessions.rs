//! What memories of one session lend each other.

use foldhash::{HashMap, HashSet};
use rusqlite::{OptionalExtension, Transaction, params};
use vestige_traits::MemoryStoreResult;
use vestige_traits::analysis::{QUESTION_TAIL, asks};
use vestige_traits::backend::{InSession, LENDING_RESULTS, lend, lending_floor};

use super::kept::{Derived, Kept};
use super::legs::{Ranked, sort};
use super::names::Names;
use crate::error::map;
use crate::filter::Admission;

/// Whether a memory is part of a session.
pub(super) fn has_any(tx: &Transaction<'_>) -> MemoryStoreResult<bool> {
    tx.prepare_cached("SELECT 1 FROM knowledge_nodes WHERE session IS NOT NULL")
        .and_then(|mut statement| statement.exists([]))
        .map_err(map)
}

/// All that lending asks of a view of the store.
pub(super) struct Lending<'a> {
    pub(super) view: &'a Transaction<'a>,
    pub(super) sessions: &'a Sessions,
    pub(super) names: &'a Names,
    /// What may come in.
    pub(super) admission: &'a Admission,
}

impl Lending<'_> {
    /// The ranking after its best have lent to the admitted nodes around them, which may come in.
    pub(super) fn lend(&self, ranked: Vec<Ranked>, by_vector_alone: bool) -> MemoryStoreResult<Vec<Ranked>> {
        let scores: Vec<f64> = ranked.iter().map(|one| one.score).collect();
        let lenders = &ranked[..ranked.len().min(LENDING_RESULTS)];
        let places = self.places(lenders.iter().map(|one| one.node))?;
        let placed = lenders.iter().zip(places).map(|(one, place)| place.with(one.node, one.score));
        let lent = lend(&placed.collect::<Vec<_>>(), lending_floor(&scores, by_vector_alone));
        let mut scores: HashMap<i64, f64> = ranked.iter().map(|one| (one.node, one.score)).collect();
        scores.extend(lent);
        self.ranked(ranked.into_iter(), scores)
    }

    /// A ranking by these scores, of nodes that were found, and of the others, which come in. What has no
    /// score is left out.
    pub(super) fn ranked(
        &self,
        found: impl Iterator<Item = Ranked>,
        mut scores: HashMap<i64, f64>,
    ) -> MemoryStoreResult<Vec<Ranked>> {
        let mut ranked = Vec::with_capacity(scores.len());
        for one in found {
            ranked.extend(scores.remove(&one.node).map(|score| Ranked { score, ..one }));
        }
        let come_in = self.names.name(self.view, scores.into_iter().collect())?;
        ranked
            .extend(come_in.iter().map(|found| Ranked { came_in: true, ..Ranked::new(found, found.score) }));
        sort(&mut ranked);
        Ok(ranked)
    }

    /// Where nodes stand in their sessions, among those that may be found.
    pub(super) fn places(&self, nodes: impl Iterator<Item = i64>) -> MemoryStoreResult<Vec<Place>> {
        let mut places = self.sessions.places(self.view, nodes)?;
        for place in &mut places {
            for node in place.before.iter_mut().chain(&mut place.after) {
                *node = node.filter(|node| self.admission.admits(*node));
            }
        }
        Ok(places)
    }
}

/// Where nodes that were found before stand in their sessions, where that is kept. It follows the rows by the
/// journal.
#[derive(Debug)]
pub(super) struct Sessions(Kept<Known>);

#[derive(Debug, Default)]
struct Known {
    places: HashMap<i64, Place>,
}

/// Where a node stands in its session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    asks: bool,
    /// The nearest first.
    before: [Option<i64>; 2],
    after: [Option<i64>; 2],
}

impl Sessions {
    /// How many places are kept, of some 100 bytes each.
    const MAX_PLACES: usize = 100_000;
    /// With more changes than this, all are read anew.
    const MAX_CHANGES: usize = 500;

    pub(super) fn new() -> Self {
        Self(Kept::new())
    }

    /// None is kept.
    pub(super) fn off() -> Self {
        Self(Kept::off())
    }

    fn places(
        &self,
        tx: &Transaction<'_>,
        nodes: impl Iterator<Item = i64>,
    ) -> MemoryStoreResult<Vec<Place>> {
        self.0.with(tx, |mut known| {
            let place_of = |node| -> MemoryStoreResult<Place> {
                if let Some(place) = known.as_ref().and_then(|known| known.places.get(&node)) {
                    return Ok(*place);
                }
                let place = place_of(tx, node)?;
                if let Some(known) = &mut known {
                    if known.places.len() >= Self::MAX_PLACES {
                        known.places.clear();
                    }
                    known.places.insert(node, place);
                }
                Ok(place)
            };
            nodes.map(place_of).collect()
        })
    }
}

impl Derived for Known {
    fn forget(&mut self, view: &Transaction<'_>, changes: Option<Vec<i64>>) -> MemoryStoreResult<()> {
        let Some(changes) = changes.filter(|changes| changes.len() <= Sessions::MAX_CHANGES) else {
            self.places.clear();
            return Ok(());
        };
        // Those around it now, and those that had it around them.
        let changed: HashSet<i64> = changes.into_iter().collect();
        let mut stale = changed.clone();
        for node in &changed {
            stale.extend(place_of(view, *node)?.around());
        }
        self.places.retain(|node, place| {
            !stale.contains(node) && !place.around().any(|node| changed.contains(&node))
        });
        Ok(())
    }
}

impl Place {
    /// A node at this place with its score.
    pub(super) fn with(&self, node: i64, score: f64) -> InSession<i64> {
        let Self { asks, before, after } = *self;
        InSession { key: node, score, asks, before, after }
    }

    pub(super) fn around(&self) -> impl Iterator<Item = i64> {
        self.before.into_iter().chain(self.after).flatten()
    }
}

/// Where a node stands in its session, by the rows. One that is part of none has nothing around it.
fn place_of(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<Place> {
    let sql = format!(
        "SELECT session, created_at, id, substr(content, -{QUESTION_TAIL}) FROM knowledge_nodes \
         WHERE node = ? AND session IS NOT NULL"
    );
    let row = tx
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(String, i64, [u8; 16], String)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            statement.query_row([node], read).optional()
        })
        .map_err(map)?;
    let Some((session, created_at, id, tail)) = row else { return Ok(Place::default()) };
    let two = |sql| -> MemoryStoreResult<[Option<i64>; 2]> {
        let mut statement = tx.prepare_cached(sql).map_err(map)?;
        let mut rows = statement.query(params![session, created_at, id]).map_err(map)?;
        let mut next = || rows.next().map_err(map)?.map(|row| row.get(0).map_err(map)).transpose();
        Ok([next()?, next()?])
    };
    Ok(Place {
        asks: asks(&tail),
        before: two("SELECT node FROM knowledge_nodes WHERE session = ? AND (created_at, id) < (?, ?) \
             ORDER BY created_at DESC, id DESC LIMIT 2")?,
        after: two("SELECT node FROM knowledge_nodes WHERE session = ? AND (created_at, id) > (?, ?) \
             ORDER BY created_at, id LIMIT 2")?,
    })
}
