use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params, params_from_iter};
use vestige_traits::backend::{PageStart, Prepared};
use vestige_traits::transfer::{
    Checkpoint, RowIssue, ScheduledMemory, TransferKey, TransferKind, TransferPage, TransferRow,
};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, limits};

use crate::codec::{self, RECORD_COLUMNS, to_json};
use crate::domains::{self, DOMAIN_COLUMNS};
use crate::error::map;
use crate::graph::{self, EDGE_COLUMNS};
use crate::identity::{self, MEMBERSHIP_COLUMNS, NAMED_COLUMNS};
use crate::scheduling::{self, EVENT_COLUMNS, STATE_COLUMNS};

/// Where the rows of a kind are, and how one is read. The columns of its key come first.
struct Source {
    table: &'static str,
    columns: String,
    key: &'static str,
    read: fn(&Row<'_>) -> MemoryStoreResult<TransferRow>,
}

fn source(kind: TransferKind) -> Source {
    let source = |table, columns: &str, key, read| Source { table, columns: columns.to_owned(), key, read };
    match kind {
        TransferKind::User => {
            source("users", NAMED_COLUMNS, "id", |row| identity::named(row).map(TransferRow::User))
        }
        TransferKind::Group => {
            source("groups", NAMED_COLUMNS, "id", |row| identity::named(row).map(TransferRow::Group))
        }
        TransferKind::GroupMembership => {
            source("group_memberships", MEMBERSHIP_COLUMNS, "user_id, group_id", |row| {
                identity::membership(row).map(TransferRow::GroupMembership)
            })
        }
        TransferKind::Domain => {
            source("domains", DOMAIN_COLUMNS, "id", |row| domains::domain(row).map(TransferRow::Domain))
        }
        TransferKind::Memory => source("knowledge_nodes n", RECORD_COLUMNS, "n.id", |row| {
            codec::record(row).map(TransferRow::Memory)
        }),
        TransferKind::Scheduling => {
            source("scheduling s", &format!("s.memory_id, {STATE_COLUMNS}"), "s.memory_id", |row| {
                scheduled(row).map(TransferRow::Scheduling)
            })
        }
        TransferKind::Edge => source("edges", EDGE_COLUMNS, "source_id, target_id, edge_type", |row| {
            graph::edge(row).map(TransferRow::Edge)
        }),
        TransferKind::ReviewEvent => source("review_events", EVENT_COLUMNS, "id", |row| {
            scheduling::event(row).map(TransferRow::ReviewEvent)
        }),
    }
}

pub(crate) fn count(tx: &Transaction<'_>, kind: TransferKind) -> MemoryStoreResult<u64> {
    let sql = format!("SELECT count(*) FROM {}", source(kind).table);
    tx.query_row(&sql, [], |row| row.get(0)).map_err(map)
}

pub(crate) fn export(
    tx: &Transaction<'_>,
    kind: TransferKind,
    after: Option<&TransferKey>,
    limit: usize,
) -> MemoryStoreResult<TransferPage> {
    let mut rows = limit;
    loop {
        // A page cannot end at a row whose key is spoilt: no page could begin after it.
        let page = match page(tx, kind, after, rows) {
            Err(error @ MemoryStoreError::Damaged { .. }) => one_by_one(tx, kind, after, rows, error)?,
            page => page?,
        };
        match page {
            Some(page) => return Ok(page),
            None => rows += 1,
        }
    }
}

/// As [`page`], where the file is damaged: its keys by their index, and the row of each by itself. Where the
/// keys are nowhere else, or cannot be read either, there is only the `error`.
fn one_by_one(
    tx: &Transaction<'_>,
    kind: TransferKind,
    after: Option<&TransferKey>,
    limit: usize,
    error: MemoryStoreError,
) -> MemoryStoreResult<Option<TransferPage>> {
    if matches!(kind, TransferKind::GroupMembership | TransferKind::Edge) {
        return Err(error);
    }
    let Source { table, columns, key, read } = source(kind);
    let after = key_values(kind, after)?;
    let condition = if after.is_empty() { "true".to_owned() } else { format!("{key} > ?") };
    let sql = format!("SELECT {key} FROM {table} WHERE {condition} ORDER BY {key} LIMIT {}", limit + 1);
    let mut keys = tx.prepare(&sql).map_err(map)?;
    let keys = keys
        .query_map(params_from_iter(after), |row| Ok((row.get::<_, Value>(0)?, key_of(row, kind))))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(map)?;
    let mut statement = tx.prepare(&format!("SELECT {columns} FROM {table} WHERE {key} = ?")).map_err(map)?;
    let mut page = TransferPage { rows: Vec::new(), damaged: Vec::new(), next: None };
    for (value, (key, _)) in keys.iter().take(limit) {
        match statement.query_row([value], |row| Ok(read(row))).map_err(map) {
            Ok(Ok(row)) => page.rows.push(row),
            Ok(Err(error)) => page.damaged.push(RowIssue::unreadable(key.clone(), &error)),
            Err(MemoryStoreError::Damaged { .. }) => {
                let reason = "its page of the file is damaged".to_owned();
                page.damaged.push(RowIssue { key: key.clone(), reason });
            }
            Err(error) => return Err(error),
        }
    }
    if keys.len() > limit {
        match limit.checked_sub(1).map(|last| &keys[last].1) {
            Some((last, true)) => page.next = Some(last.clone()),
            _ => return Ok(None),
        }
    }
    Ok(Some(page))
}

/// A page of at most `limit` rows; none if its last row has no key to continue from.
fn page(
    tx: &Transaction<'_>,
    kind: TransferKind,
    after: Option<&TransferKey>,
    limit: usize,
) -> MemoryStoreResult<Option<TransferPage>> {
    let Source { table, columns, key, read } = source(kind);
    let values = key_values(kind, after)?;
    let condition = match values.len() {
        0 => "true".to_owned(),
        n => format!("({key}) > ({})", vec!["?"; n].join(", ")),
    };
    // One more than asked for tells whether there is another page.
    let sql = format!("SELECT {columns} FROM {table} WHERE {condition} ORDER BY {key} LIMIT {}", limit + 1);
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(map)?;
    let mut page = TransferPage { rows: Vec::new(), damaged: Vec::new(), next: None };
    let mut last = None;
    while let Some(row) = rows.next().map_err(map)? {
        if page.rows.len() + page.damaged.len() == limit {
            let Some(last) = last else { return Ok(None) };
            page.next = Some(last);
            break;
        }
        let (key, readable) = key_of(row, kind);
        match read(row) {
            Ok(row) if page.rows.len() < limits::MAX_BATCH => page.rows.push(row),
            // One more than any page may hold, because of keys that are spoilt.
            Ok(_) => page.damaged.push(RowIssue { key: key.clone(), reason: "has a spoilt key".to_owned() }),
            Err(error) => page.damaged.push(RowIssue::unreadable(key.clone(), &error)),
        }
        last = Some(key).filter(|_| readable);
    }
    Ok(Some(page))
}

/// The values of a key's columns, in their order; nothing where a page begins at the first row.
fn key_values(kind: TransferKind, after: Option<&TransferKey>) -> MemoryStoreResult<Vec<Value>> {
    let PageStart { first, second, text } = PageStart::new(kind, after)?;
    let ids = [first, second].into_iter().flatten().map(|id| Value::from(id.into_bytes().to_vec()));
    Ok(ids.chain(text.map(|text| Value::from(text.to_owned()))).collect())
}

/// The key in a row's first columns, also of a row that cannot be read, and whether a page can go on after
/// it.
fn key_of(row: &Row<'_>, kind: TransferKind) -> (TransferKey, bool) {
    let id = |at| codec::uuid(row, at, "id").ok();
    let text = |at| row.get::<_, String>(at).ok();
    let key = match kind {
        TransferKind::User => id(0).map(TransferKey::User),
        TransferKind::Group => id(0).map(TransferKey::Group),
        TransferKind::GroupMembership => {
            id(0).zip(id(1)).map(|(user_id, group_id)| TransferKey::GroupMembership { user_id, group_id })
        }
        TransferKind::Domain => text(0).map(TransferKey::Domain),
        TransferKind::Memory => id(0).map(TransferKey::Memory),
        TransferKind::Scheduling => id(0).map(TransferKey::Scheduling),
        TransferKind::Edge => id(0)
            .zip(id(1))
            .zip(text(2))
            .map(|((source_id, target_id), edge_type)| TransferKey::Edge { source_id, target_id, edge_type }),
        TransferKind::ReviewEvent => id(0).map(TransferKey::ReviewEvent),
    };
    let key = key.unwrap_or_else(|| {
        let id = |at| id(at).map(|id| id.to_string());
        let parts = match kind {
            TransferKind::Domain => vec![text(0)],
            TransferKind::GroupMembership => vec![id(0), id(1)],
            TransferKind::Edge => vec![id(0), id(1), text(2)],
            _ => vec![id(0)],
        };
        let unreadable = || TransferKey::UNREADABLE_PART.to_owned();
        let parts = parts.into_iter().map(|part| part.unwrap_or_else(unreadable)).collect();
        TransferKey::Unreadable { kind, parts }
    });
    let readable = PageStart::new(kind, Some(&key)).is_ok();
    (key, readable)
}

fn scheduled(row: &Row<'_>) -> MemoryStoreResult<ScheduledMemory> {
    Ok(ScheduledMemory { memory_id: codec::uuid(row, 0, "memory_id")?, state: scheduling::state(row, 1)? })
}

pub(crate) fn checkpoint(tx: &Transaction<'_>, name: &str) -> MemoryStoreResult<Option<Checkpoint>> {
    limits::check_name("checkpoint.name", name)?;
    let mut statement = tx
        .prepare_cached("SELECT name, state, updated_at FROM transfer_checkpoints WHERE name = ?")
        .map_err(map)?;
    let mut rows = statement.query([name]).map_err(map)?;
    let Some(row) = rows.next().map_err(map)? else { return Ok(None) };
    Ok(Some(Checkpoint {
        name: row.get(0).map_err(map)?,
        state: codec::json(row, 1, "state")?,
        updated_at: codec::time(row, 2, "updated_at")?,
    }))
}

/// Writes a checkpoint, in the transaction of the page that it is about.
pub(crate) fn write_checkpoint(
    tx: &Transaction<'_>,
    checkpoint: &Prepared<'_, Checkpoint>,
) -> MemoryStoreResult<()> {
    tx.execute(
        "INSERT OR REPLACE INTO transfer_checkpoints (name, state, updated_at) VALUES (?, ?, ?)",
        params![checkpoint.name, to_json(&checkpoint.state)?, checkpoint.updated_at.timestamp_micros()],
    )
    .map_err(map)?;
    Ok(())
}

pub(crate) fn clear_checkpoint(tx: &Transaction<'_>, name: &str) -> MemoryStoreResult<()> {
    limits::check_name("checkpoint.name", name)?;
    tx.execute("DELETE FROM transfer_checkpoints WHERE name = ?", [name]).map_err(map)?;
    Ok(())
}
