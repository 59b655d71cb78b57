use rusqlite::{Row, Transaction, params};
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{Prepared, round_score};
use vestige_traits::{Domain, DomainScore, MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

use crate::codec::{self, to_bytes, to_json};
use crate::error::{bad_value, map};
use crate::registry;

/// The columns that [`domain`] reads.
pub(crate) const DOMAIN_COLUMNS: &str = "id, label, centroid, top_terms, memory_count, created_at, metadata";

/// Reads a domain from the row's first columns, which are [`DOMAIN_COLUMNS`].
pub(crate) fn domain(row: &Row<'_>) -> MemoryStoreResult<Domain> {
    let memory_count: i64 = row.get(4).map_err(map)?;
    Ok(Domain {
        id: row.get(0).map_err(map)?,
        label: row.get(1).map_err(map)?,
        centroid: codec::vector(row, 2, "centroid")?,
        top_terms: codec::json(row, 3, "top_terms")?,
        memory_count: u64::try_from(memory_count).map_err(|_| bad_value("memory_count", "is negative"))?,
        created_at: codec::time(row, 5, "created_at")?,
        metadata: codec::json(row, 6, "metadata")?,
    })
}

pub(crate) fn list(tx: &Transaction<'_>) -> MemoryStoreResult<Vec<Domain>> {
    let sql = format!("SELECT {DOMAIN_COLUMNS} FROM domains ORDER BY id");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([]).map_err(map)?;
    let mut domains = Vec::new();
    while let Some(row) = rows.next().map_err(map)? {
        domains.push(domain(row)?);
    }
    Ok(domains)
}

pub(crate) fn get(tx: &Transaction<'_>, id: &str) -> MemoryStoreResult<Option<Domain>> {
    limits::check_name("domain.id", id)?;
    let sql = format!("SELECT {DOMAIN_COLUMNS} FROM domains WHERE id = ?");
    let mut statement = tx.prepare_cached(&sql).map_err(map)?;
    let mut rows = statement.query([id]).map_err(map)?;
    rows.next().map_err(map)?.map(domain).transpose()
}

/// Adds a domain or replaces the one with its id, for a handle that is bound to the model `bound`.
pub(crate) fn upsert(
    tx: &Transaction<'_>,
    domain: &Prepared<'_, Domain>,
    bound: Option<&ModelSignature>,
) -> MemoryStoreResult<()> {
    if let Some(centroid) = &domain.centroid {
        registry::check_vector(tx, bound, centroid)?;
    }
    write(tx, domain)
}

/// Writes a domain whose centroid was checked.
pub(crate) fn write(tx: &Transaction<'_>, domain: &Prepared<'_, Domain>) -> MemoryStoreResult<()> {
    tx.execute(
        "INSERT OR REPLACE INTO domains (id, label, centroid, top_terms, memory_count, created_at, metadata) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            domain.id,
            domain.label,
            domain.centroid.as_deref().map(to_bytes),
            to_json(&domain.top_terms)?,
            i64::try_from(domain.memory_count).unwrap_or(i64::MAX),
            domain.created_at.timestamp_micros(),
            to_json(&domain.metadata)?,
        ],
    )
    .map_err(map)?;
    Ok(())
}

pub(crate) fn delete(tx: &Transaction<'_>, id: &str) -> MemoryStoreResult<()> {
    limits::check_name("domain.id", id)?;
    match tx.execute("DELETE FROM domains WHERE id = ?", [id]).map_err(map)? {
        0 => Err(MemoryStoreError::not_found("domain", id)),
        _ => Ok(()),
    }
}

pub(crate) fn classify(
    tx: &Transaction<'_>,
    embedding: &[f32],
    bound: Option<&ModelSignature>,
) -> MemoryStoreResult<Vec<DomainScore>> {
    if !registry::may_compare(tx, bound, embedding)? {
        return Ok(Vec::new());
    }
    let mut scores: Vec<DomainScore> = list(tx)?
        .into_iter()
        .filter_map(|domain| {
            let centroid = domain.centroid.filter(|centroid| centroid.len() == embedding.len())?;
            Some(DomainScore {
                score: round_score(cosine_similarity(embedding, &centroid)),
                domain: domain.id,
            })
        })
        .collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.domain.cmp(&b.domain)));
    Ok(scores)
}
