use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedDocument, Analyzer};
use vestige_traits::backend::{Models, Prepared, Reference};
use vestige_traits::{
    ChangeToken, ListCursor, ListPage, ListQuery, MemoryRecord, MemoryStoreError, MemoryStoreResult,
    ModelSignature, limits,
};

use crate::codec::{self, RECORD_COLUMNS, to_bytes, to_json};
use crate::error::{self, map};
use crate::filter::Condition;
use crate::{identity, journal, keyword, nodes, reembed, registry, schema, vector};

pub(crate) fn get(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<Option<MemoryRecord>> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([id.into_bytes()]).map_err(map)?;
    rows.next().map_err(map)?.map(codec::record).transpose()
}

/// The node of a memory.
pub(crate) fn node_of(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<Option<i64>> {
    tx.prepare_cached("SELECT node FROM knowledge_nodes WHERE id = ?")
        .and_then(|mut statement| statement.query_row([id.into_bytes()], |row| row.get(0)).optional())
        .map_err(map)
}

/// As [`node_of`], for a memory that must exist.
pub(crate) fn existing_node(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<i64> {
    node_of(tx, id)?.ok_or_else(|| MemoryStoreError::not_found("memory", id))
}

pub(crate) fn list(
    tx: &Transaction<'_>,
    query: &ListQuery,
    limit: usize,
    now: DateTime<Utc>,
) -> MemoryStoreResult<ListPage> {
    let mut condition = Condition::of(&query.filter, now)?;
    if let Some(after) = query.after {
        let micros = Value::from(after.created_at.timestamp_micros());
        condition.and(
            "n.created_at <= ? AND (n.created_at < ? OR n.id > ?)",
            [micros.clone(), micros, Value::from(after.id.into_bytes().to_vec())],
        );
    }
    // One more than asked for tells whether there is another page.
    let sql = format!(
        "SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE {} ORDER BY n.created_at DESC, n.id LIMIT {}",
        condition.sql(),
        limit + 1
    );
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query(params_from_iter(condition.values())).map_err(map)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        records.push(codec::record(row)?);
    }
    let more = records.len() > limit;
    records.truncate(limit);
    let next =
        records.last().filter(|_| more).map(|last| ListCursor { created_at: last.created_at, id: last.id });
    Ok(ListPage { records, next })
}

/// Adds records, for a handle that is bound to the model `bound`. If there is a token, only if it is still
/// that of the store. Nobody else writes during `tx`.
pub(crate) fn insert_all(
    tx: &Transaction<'_>,
    records: &[Prepared<'_, MemoryRecord>],
    since: Option<ChangeToken>,
    bound: Option<&ModelSignature>,
) -> MemoryStoreResult<()> {
    if let Some(since) = since
        && journal::state(tx)?.token() != since
    {
        return Err(MemoryStoreError::added_meanwhile());
    }
    let vectors = records.iter().any(|record| record.embedding.is_some());
    let registered = if vectors { registry::registered(tx)? } else { None };
    let models = Models { registered: registered.as_ref(), bound };
    let writer = RecordWriter::new(tx)?;
    for record in records {
        check(tx, record, models)?;
        if node_of(tx, record.id)?.is_some() {
            return Err(MemoryStoreError::already_exists("memory", record.id));
        }
        writer.insert(record)?;
    }
    journal::trim(tx)
}

/// Refuses a record whose vector or owner does not belong to this store.
fn check(
    tx: &Transaction<'_>,
    record: &Prepared<'_, MemoryRecord>,
    models: Models<'_>,
) -> MemoryStoreResult<()> {
    if let Some(embedding) = &record.embedding {
        models.check_vector(embedding.len())?;
    }
    let owner = Reference::Owner(record.owner_user_id);
    if identity::exists(tx, owner)? { Ok(()) } else { Err(owner.missing()) }
}

/// If there is a `version`, only of that one. For a handle that is bound to the model `bound`.
pub(crate) fn update(
    tx: &Transaction<'_>,
    record: &Prepared<'_, MemoryRecord>,
    version: Option<DateTime<Utc>>,
    bound: Option<&ModelSignature>,
    now: DateTime<Utc>,
) -> MemoryStoreResult<DateTime<Utc>> {
    let previous = tx
        .prepare_cached("SELECT node, updated_at FROM knowledge_nodes WHERE id = ?")
        .and_then(|mut statement| {
            statement
                .query_row([record.id.into_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        })
        .map_err(map)?;
    let (node, previous) = previous.ok_or_else(|| MemoryStoreError::not_found("memory", record.id))?;
    if version.is_some_and(|version| limits::to_micros(version).timestamp_micros() != previous) {
        return Err(MemoryStoreError::changed_meanwhile(record.id));
    }
    let previous = DateTime::from_timestamp_micros(previous).unwrap_or(now);
    let updated_at = now.max(previous + TimeDelta::microseconds(1));
    limits::check_time("updated_at", updated_at)?;
    let registered = if record.embedding.is_some() { registry::registered(tx)? } else { None };
    check(tx, record, Models { registered: registered.as_ref(), bound })?;
    RecordWriter::new(tx)?.replace(node, record, updated_at)?;
    reembed::forget(tx, node)?;
    journal::trim(tx)?;
    Ok(updated_at)
}

pub(crate) fn delete(tx: &Transaction<'_>, id: Uuid) -> MemoryStoreResult<()> {
    let node = existing_node(tx, id)?;
    keyword::check_current(tx)?;
    keyword::remove(tx, &Analyzer::default(), node)?;
    journal::announce(tx, node)?;
    tx.execute("DELETE FROM knowledge_nodes WHERE node = ?", [node]).map_err(map)?;
    journal::trim(tx)
}

/// Makes the terms, tags, domains and codes anew from the rows, as far as these can be read.
pub(crate) fn rebuild_indexes(connection: &mut Connection, path: &Path) -> MemoryStoreResult<()> {
    nodes::write_past_damage(connection, path, |tx, on_damaged_pages| {
        let analyzer = Analyzer::default();
        schema::mend(tx).map_err(map)?;
        keyword::rebuild(tx, &analyzer, on_damaged_pages)?;
        for table in ["node_tags", "node_domains", "vector_codes"] {
            tx.execute(&format!("DELETE FROM {table}"), []).map_err(map)?;
        }
        let writer = RecordWriter { tx, analyzer };
        for (node, _) in nodes::all(tx)? {
            if on_damaged_pages.contains(&node) {
                continue;
            }
            match of_node(tx, node) {
                Ok(record) => writer.index_apart_from_terms(node, &record)?,
                Err(error) if error::is_of_a_row(&error) => {}
                Err(error) => return Err(error),
            }
        }
        journal::begin_generation(tx)
    })
}

/// The record of a node that is there.
pub(crate) fn of_node(tx: &Transaction<'_>, node: i64) -> MemoryStoreResult<MemoryRecord> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM knowledge_nodes n WHERE n.node = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([node]).map_err(map)?;
    match rows.next().map_err(map)? {
        Some(row) => codec::record(row),
        None => Err(MemoryStoreError::not_found("memory", node)),
    }
}

/// Writes records and what is derived from them, within one transaction.
pub(crate) struct RecordWriter<'t> {
    tx: &'t Transaction<'t>,
    analyzer: Analyzer,
}

impl<'t> RecordWriter<'t> {
    pub(crate) fn new(tx: &'t Transaction<'t>) -> MemoryStoreResult<Self> {
        keyword::check_current(tx)?;
        Ok(Self { tx, analyzer: Analyzer::default() })
    }

    /// Adds a record whose id is free, and whose vector and owner were checked.
    pub(crate) fn insert(&self, record: &Prepared<'_, MemoryRecord>) -> MemoryStoreResult<()> {
        self.tx
            .prepare_cached(
                "INSERT INTO knowledge_nodes (id, content, node_type, tags, metadata, domains, domain_scores, \
                 codebase, owner_user_id, visibility, shared_with_groups, created_at, updated_at, embedding, \
                 session) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .map_err(map)?
            .execute(params![
                record.id.into_bytes(),
                record.content,
                record.node_type,
                to_json(&record.tags)?,
                to_json(&record.metadata)?,
                to_json(&record.domains)?,
                to_json(&record.domain_scores)?,
                record.codebase,
                record.owner_user_id.into_bytes(),
                record.visibility.as_str(),
                to_json(&record.shared_with_groups)?,
                record.created_at.timestamp_micros(),
                record.updated_at.timestamp_micros(),
                record.embedding.as_deref().map(to_bytes),
                record.session,
            ])
            .map_err(map)?;
        let node = self.tx.last_insert_rowid();
        self.index(node, record)?;
        journal::announce(self.tx, node)
    }

    /// Replaces the record of a node by one whose vector and owner were checked.
    fn replace(
        &self,
        node: i64,
        record: &Prepared<'_, MemoryRecord>,
        updated_at: DateTime<Utc>,
    ) -> MemoryStoreResult<()> {
        keyword::remove(self.tx, &self.analyzer, node)?;
        self.tx
            .prepare_cached(
                "UPDATE knowledge_nodes SET content = ?, node_type = ?, tags = ?, metadata = ?, domains = ?, \
                 domain_scores = ?, codebase = ?, owner_user_id = ?, visibility = ?, shared_with_groups = ?, \
                 created_at = ?, updated_at = ?, embedding = ?, session = ? WHERE node = ?",
            )
            .map_err(map)?
            .execute(params![
                record.content,
                record.node_type,
                to_json(&record.tags)?,
                to_json(&record.metadata)?,
                to_json(&record.domains)?,
                to_json(&record.domain_scores)?,
                record.codebase,
                record.owner_user_id.into_bytes(),
                record.visibility.as_str(),
                to_json(&record.shared_with_groups)?,
                record.created_at.timestamp_micros(),
                updated_at.timestamp_micros(),
                record.embedding.as_deref().map(to_bytes),
                record.session,
                node,
            ])
            .map_err(map)?;
        for table in ["node_tags", "node_domains"] {
            self.tx
                .prepare_cached(&format!("DELETE FROM {table} WHERE node = ?"))
                .and_then(|mut statement| statement.execute([node]))
                .map_err(map)?;
        }
        vector::clear(self.tx, node)?;
        self.index(node, record)?;
        journal::announce(self.tx, node)
    }

    /// Writes the terms, tags, domains and code of a node that has none.
    fn index(&self, node: i64, record: &MemoryRecord) -> MemoryStoreResult<()> {
        let documents =
            AnalyzedDocument::of_memory(&self.analyzer, &record.content, &record.node_type, &record.tags);
        keyword::add(self.tx, node, documents)?;
        self.index_apart_from_terms(node, record)
    }

    fn index_apart_from_terms(&self, node: i64, record: &MemoryRecord) -> MemoryStoreResult<()> {
        let lists = [
            (&record.tags, "INSERT OR IGNORE INTO node_tags (tag, node) VALUES (?, ?)"),
            (&record.domains, "INSERT OR IGNORE INTO node_domains (domain, node) VALUES (?, ?)"),
        ];
        for (values, sql) in lists {
            for value in values {
                self.tx
                    .prepare_cached(sql)
                    .and_then(|mut statement| statement.execute(params![value, node]))
                    .map_err(map)?;
            }
        }
        match &record.embedding {
            Some(embedding) => vector::add(self.tx, node, embedding),
            None => Ok(()),
        }
    }
}
