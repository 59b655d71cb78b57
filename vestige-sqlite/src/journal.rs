//! A journal of changed nodes, for indexes that are kept in memory.
//!
//! Every write of a memory adds its node to `node_changes` in the same transaction. An index that is derived
//! from the rows remembers the state it was made from, and asks for the changes since then.

use rusqlite::{OptionalExtension, Transaction};
use vestige_traits::{ChangeToken, MemoryStoreResult};

use crate::error::map;

/// How many entries the journal keeps at least, and at most.
const LENGTH: std::ops::Range<i64> = 10_000..20_000;

/// A state of the store, as the journal counts it: later ones are greater. The default is before every state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    generation: i64,
    seq: i64,
}

impl State {
    pub(crate) fn token(self) -> ChangeToken {
        let [generation, seq] = [self.generation, self.seq].map(|n| u128::from(n.cast_unsigned()));
        ChangeToken::new(generation << 64 | seq)
    }
}

/// The state that a view shows.
pub(crate) fn state(view: &Transaction<'_>) -> MemoryStoreResult<State> {
    view.prepare_cached(
        "SELECT generation, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'node_changes'), 0) \
         FROM journal_state",
    )
    .and_then(|mut statement| {
        statement.query_row([], |row| Ok(State { generation: row.get(0)?, seq: row.get(1)? }))
    })
    .map_err(map)
}

/// The nodes that were added, removed or changed between two states. `now` is the state of the view.
///
/// None if the journal no longer reaches back that far: everything derived has to be rebuilt then.
pub(crate) fn changes(
    view: &Transaction<'_>,
    since: State,
    now: State,
) -> MemoryStoreResult<Option<Vec<i64>>> {
    if since.generation != now.generation || since.seq > now.seq {
        return Ok(None);
    }
    if since.seq == now.seq {
        return Ok(Some(Vec::new()));
    }
    let first: Option<i64> = view
        .prepare_cached("SELECT seq FROM node_changes WHERE seq > ? ORDER BY seq LIMIT 1")
        .and_then(|mut statement| statement.query_row([since.seq], |row| row.get(0)).optional())
        .map_err(map)?;
    if first != Some(since.seq + 1) {
        return Ok(None);
    }
    let mut statement =
        view.prepare_cached("SELECT DISTINCT node FROM node_changes WHERE seq > ?").map_err(map)?;
    let nodes = statement.query_map([since.seq], |row| row.get(0)).map_err(map)?;
    nodes.collect::<rusqlite::Result<_>>().map(Some).map_err(map)
}

/// Tells every process that a node has come, gone or changed.
pub(crate) fn announce(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<()> {
    tx.prepare_cached("INSERT INTO node_changes (node) VALUES (?)")
        .and_then(|mut statement| statement.execute([node]))
        .map_err(map)?;
    Ok(())
}

/// Tells every process that everything has changed.
pub(crate) fn begin_generation(tx: &Transaction<'_>) -> MemoryStoreResult<()> {
    tx.execute("UPDATE journal_state SET generation = generation + 1", []).map_err(map)?;
    tx.execute("DELETE FROM node_changes", []).map_err(map)?;
    Ok(())
}

/// Forgets the oldest entries of a long journal.
pub(crate) fn trim(tx: &Transaction<'_>) -> MemoryStoreResult<()> {
    let end = |sql| {
        tx.prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)).optional())
            .map_err(map)
    };
    let first = end("SELECT seq FROM node_changes ORDER BY seq LIMIT 1")?;
    let last = end("SELECT seq FROM node_changes ORDER BY seq DESC LIMIT 1")?;
    if let (Some(first), Some(last)) = (first, last)
        && last - first >= LENGTH.end
    {
        tx.execute("DELETE FROM node_changes WHERE seq <= ?", [last - LENGTH.start]).map_err(map)?;
    }
    Ok(())
}
