use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::Transaction;
use uuid::Uuid;
use vestige_traits::analysis::{AnalyzedDocument, Analyzer};
use vestige_traits::stats::Finding;
use vestige_traits::{MemoryRecord, MemoryStoreError, MemoryStoreResult};

use crate::codec;
use crate::error::map;
use crate::vector::encode;
use crate::{keyword, nodes, records, reembed, registry, schema};

const REBUILD: &str = "rebuild the indexes (vestige doctor --repair)";
const RESTORE: &str = "restore a backup or an archive; export what can still be read first";

/// Looks at everything, in one view.
pub(crate) fn run(tx: &Transaction<'_>) -> MemoryStoreResult<Vec<Finding>> {
    let differences = schema::differences(tx).map_err(map)?;
    let mut findings = of_the_schema(&differences);
    if differences.iter().any(schema::Difference::is_of_a_table) {
        // Every other look would come upon it.
        return Ok(findings);
    }
    findings.extend(looked_at("file", file(tx).map(Some))?);
    findings.extend(looked_at("references", references(tx).map(Some))?);
    findings.extend(looked_at("model", model(tx).map(Some))?);
    findings.extend(looked_at("memories", rows_against_indexes(tx))?);
    if let Some(status) = reembed::status(tx)? {
        findings.push(Finding::warning(
            "re-embedding",
            format!("one to {} is under way: {} done, {} to do", status.model, status.done, status.pending),
            "finish it or abort it (vestige migrate --reembed)",
        ));
    }
    Ok(findings)
}

/// What was found of a subject. That the file is damaged on the way is a finding too, and hides no other
/// subject's.
fn looked_at(
    subject: &str,
    found: MemoryStoreResult<impl IntoIterator<Item = Finding>>,
) -> MemoryStoreResult<Vec<Finding>> {
    match found {
        Ok(findings) => Ok(findings.into_iter().collect()),
        Err(MemoryStoreError::Damaged { .. }) => Ok(vec![Finding::error(
            subject,
            "SQLite finds the file damaged where it looks for them",
            RESTORE,
        )]),
        Err(error) => Err(error),
    }
}

/// What the file has beside or instead of what Vestige makes.
fn of_the_schema(differences: &[schema::Difference]) -> Vec<Finding> {
    if differences.is_empty() {
        return vec![Finding::ok("schema", format!("version {}", schema::VERSION))];
    }
    differences.iter().map(of_a_difference).collect()
}

fn of_a_difference(difference: &schema::Difference) -> Finding {
    if difference.changes_writes() {
        let remedy = match difference.removal() {
            Some(removal) => format!("Vestige does not run it; run `{removal}` in the sqlite3 program"),
            None => RESTORE.to_owned(),
        };
        let message = format!("{difference} and could change what is stored, so nothing is written");
        return Finding::error("schema", message, remedy);
    }
    let remedy = match difference.removal() {
        _ if difference.is_mended_by_rebuilding() => REBUILD.to_owned(),
        Some(removal) => {
            format!("leave it if you made it: Vestige neither uses nor changes it; `{removal}` removes it")
        }
        None => RESTORE.to_owned(),
    };
    Finding::warning("schema", difference.to_string(), remedy)
}

fn file(tx: &Transaction<'_>) -> MemoryStoreResult<Finding> {
    // The check goes by what FTS5 last knew of its segments on this connection. A query makes it look again.
    let mut look = tx.prepare("SELECT rowid FROM memory_terms LIMIT 1").map_err(map)?;
    look.exists([]).map_err(map)?;
    let mut statement = tx.prepare("PRAGMA integrity_check(10)").map_err(map)?;
    let messages = statement
        .query_map([], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(map)?;
    Ok(if messages == ["ok"] {
        Finding::ok("file", "SQLite's integrity check passes")
    } else {
        Finding::error("file", format!("SQLite's integrity check fails: {}", messages.join("; ")), RESTORE)
    })
}

fn references(tx: &Transaction<'_>) -> MemoryStoreResult<Finding> {
    let mut statement = tx.prepare("PRAGMA foreign_key_check").map_err(map)?;
    let broken = statement
        .query_map([], |row| row.get::<_, String>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(map)?;
    Ok(match broken.first() {
        None => Finding::ok("references", "every row refers to rows that exist"),
        Some(table) => Finding::error(
            "references",
            format!("{} rows refer to rows that do not exist, the first in {table}", broken.len()),
            RESTORE,
        ),
    })
}

fn model(tx: &Transaction<'_>) -> MemoryStoreResult<Finding> {
    let embedded: u64 = tx
        .query_row("SELECT count(*) FROM knowledge_nodes WHERE embedding IS NOT NULL", [], |row| row.get(0))
        .map_err(map)?;
    let Some(model) = registry::registered(tx)? else {
        return Ok(if embedded == 0 {
            Finding::ok("model", "none registered yet")
        } else {
            Finding::error(
                "model",
                format!("{embedded} memories have vectors of no registered model"),
                RESTORE,
            )
        });
    };
    let wrong: u64 = tx
        .query_row(
            "SELECT count(*) FROM knowledge_nodes WHERE length(embedding) <> 4 * ?",
            [registry::dimension(&model)],
            |row| row.get(0),
        )
        .map_err(map)?;
    Ok(if wrong == 0 {
        Finding::ok("model", format!("{model}; {embedded} memories have vectors of it"))
    } else {
        Finding::error(
            "model",
            format!("{wrong} memories have vectors that are not of {model}"),
            "embed the store again (vestige migrate --reembed)",
        )
    })
}

/// How many rows an index does not hold as it should, and how many entries have no row.
#[derive(Default)]
struct Disagreement {
    rows: u64,
    entries: u64,
}

impl Disagreement {
    fn finding(self, subject: &str, memories: u64) -> Finding {
        match self {
            Self { rows: 0, entries: 0 } => {
                Finding::ok(subject, format!("agrees with all {memories} memories"))
            }
            Self { rows, entries } => Finding::error(
                subject,
                format!("disagrees with {rows} of {memories} memories and has {entries} entries of none"),
                REBUILD,
            ),
        }
    }
}

fn rows_against_indexes(tx: &Transaction<'_>) -> MemoryStoreResult<Vec<Finding>> {
    let nodes = nodes::all(tx)?;
    let known: HashSet<i64> = nodes.iter().map(|(node, _)| *node).collect();
    // Not by a join, which would come upon every page of rows.
    let entries = |table: &str, column: &str, node: fn(i64) -> i64| -> MemoryStoreResult<u64> {
        let mut statement = tx.prepare(&format!("SELECT {column} FROM {table}")).map_err(map)?;
        let mut rows = statement.query([]).map_err(map)?;
        let mut of_none = 0;
        while let Some(row) = rows.next().map_err(map)? {
            of_none += u64::from(!known.contains(&node(row.get(0).map_err(map)?)));
        }
        Ok(of_none)
    };
    let mut terms = Disagreement { rows: 0, entries: 0 };
    let own = |node| node;
    let in_lists = entries("node_tags", "node", own)? + entries("node_domains", "node", own)?;
    let mut lists = Disagreement { rows: 0, entries: in_lists };
    let mut codes = Disagreement { rows: 0, entries: entries("vector_codes", "node", own)? };
    let memories = nodes.len() as u64;
    let mut unreadable = Vec::new();

    let analyzer = Analyzer::default();
    let mut indexed = Indexed::prepare(tx)?;
    for (node, id) in &nodes {
        let record = match records::of_node(tx, *node) {
            Ok(record) => record,
            Err(MemoryStoreError::Damaged { .. }) => {
                indexed.terms.remove(node);
                unreadable.push(codec::name(Uuid::from_slice(id).ok()));
                continue;
            }
            Err(error) => return Err(error),
        };
        terms.rows += u64::from(!indexed.terms_agree(*node, &record, &analyzer)?);
        lists.rows += u64::from(!indexed.lists_agree(*node, &record)?);
        codes.rows += u64::from(!indexed.code_agrees(*node, &record)?);
    }
    // What is left has no row.
    terms.entries = entries("memory_terms_docsize", "id", keyword::node_of)?.max(indexed.terms.len() as u64);
    let rows = match unreadable.len() {
        0 => Finding::ok("memories", format!("all {memories} can be read")),
        n => {
            let first = unreadable[..n.min(3)].join(", ");
            Finding::error("memories", format!("{n} of {memories} cannot be read: {first}"), RESTORE)
        }
    };
    Ok(vec![
        rows,
        terms.finding("keyword index", memories),
        lists.finding("tag and domain index", memories),
        codes.finding("vector index", memories),
    ])
}

/// What the indexes hold of a node.
struct Indexed<'t> {
    /// What the keyword index has of each node, as a sum over its terms and their places.
    terms: HashMap<i64, u64>,
    sizes: rusqlite::Statement<'t>,
    tags: rusqlite::Statement<'t>,
    domains: rusqlite::Statement<'t>,
    code: rusqlite::Statement<'t>,
}

impl<'t> Indexed<'t> {
    fn prepare(tx: &'t Transaction<'_>) -> MemoryStoreResult<Self> {
        Ok(Self {
            terms: indexed_terms(tx)?,
            sizes: tx.prepare("SELECT sz FROM memory_terms_docsize WHERE id = ?").map_err(map)?,
            tags: tx.prepare("SELECT tag FROM node_tags WHERE node = ? ORDER BY tag").map_err(map)?,
            domains: tx
                .prepare("SELECT domain FROM node_domains WHERE node = ? ORDER BY domain")
                .map_err(map)?,
            code: tx.prepare("SELECT code FROM vector_codes WHERE node = ?").map_err(map)?,
        })
    }

    /// Compares the terms and their places, and how many FTS5 counts in each field. Takes the node's terms
    /// away.
    fn terms_agree(
        &mut self,
        node: i64,
        record: &MemoryRecord,
        analyzer: &Analyzer,
    ) -> MemoryStoreResult<bool> {
        let documents =
            AnalyzedDocument::of_memory(analyzer, &record.content, &record.node_type, &record.tags);
        let (mut expected, mut sizes_agree) = (0_u64, true);
        for (passage, document) in documents.enumerate() {
            let rowid = keyword::rowid(node, passage)?;
            for (field, terms) in keyword::FIELDS.iter().zip(&document.fields) {
                for (at, term) in (0..).zip(terms) {
                    expected = expected.wrapping_add(of_term(rowid, field, at, &term.text));
                }
            }
            let mut rows = self.sizes.query([rowid]).map_err(map)?;
            let row = rows.next().map_err(map)?;
            let stored = row.map(|row| row.get_ref(0)).transpose().map_err(map)?;
            let stored = stored.and_then(|stored| stored.as_blob().ok()).unwrap_or_default();
            sizes_agree &= codec::varints(stored).eq(document.fields.iter().map(|field| field.len() as u64));
        }
        Ok(self.terms.remove(&node).unwrap_or(0) == expected && sizes_agree)
    }

    fn lists_agree(&mut self, node: i64, record: &MemoryRecord) -> MemoryStoreResult<bool> {
        Ok(sorted(&record.tags) == strings(&mut self.tags, node)?
            && sorted(&record.domains) == strings(&mut self.domains, node)?)
    }

    fn code_agrees(&mut self, node: i64, record: &MemoryRecord) -> MemoryStoreResult<bool> {
        let mut rows = self.code.query([node]).map_err(map)?;
        let stored = match rows.next().map_err(map)? {
            None => None,
            Some(row) => Some(row.get_ref(0).map_err(map)?.as_blob().unwrap_or_default()),
        };
        Ok(stored == record.embedding.as_deref().map(encode).as_deref())
    }
}

fn indexed_terms(tx: &Transaction<'_>) -> MemoryStoreResult<HashMap<i64, u64>> {
    let mut terms = HashMap::new();
    let mut statement =
        tx.prepare("SELECT doc, col, \"offset\", term FROM temp.memory_term_places").map_err(map)?;
    let mut rows = statement.query([]).map_err(map)?;
    while let Some(row) = rows.next().map_err(map)? {
        let text = |at| row.get_ref(at).map_err(map)?.as_str().map_err(|error| map(error.into()));
        let rowid = row.get(0).map_err(map)?;
        let sum: &mut u64 = terms.entry(keyword::node_of(rowid)).or_default();
        *sum = sum.wrapping_add(of_term(rowid, text(1)?, row.get(2).map_err(map)?, text(3)?));
    }
    Ok(terms)
}

/// A number for a term at its place in a field of a row: another term or place has another one, but for an
/// accident in 2⁶⁴.
fn of_term(rowid: i64, field: &str, at: u64, term: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (rowid, field, at, term).hash(&mut hasher);
    hasher.finish()
}

fn strings(statement: &mut rusqlite::Statement<'_>, node: i64) -> MemoryStoreResult<Vec<String>> {
    statement
        .query_map([node], |row| row.get(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>)
        .map_err(map)
}

fn sorted(values: &[String]) -> Vec<String> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
