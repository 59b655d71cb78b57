//! Rows of the database, and their conversion to the types of the trait.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::backend::cosine_similarity;
use vestige_traits::backend::{FusionScale, round_score};
use vestige_traits::scheduling::{DueMemory, ReviewEvent, SchedulingState};
use vestige_traits::{
    Domain, Fusion, MemoryRecord, MemoryStoreError, MemoryStoreResult, ModelSignature, SearchResult,
};

use crate::error;

/// A row of `knowledge_nodes`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct MemoryRow {
    pub(crate) id: Uuid,
    pub(crate) content: String,
    pub(crate) node_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Value,
    pub(crate) domains: Vec<String>,
    pub(crate) domain_scores: Json<BTreeMap<String, f64>>,
    pub(crate) embedding: Option<Vec<f32>>,
    pub(crate) codebase: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) owner_user_id: Uuid,
    pub(crate) visibility: String,
    pub(crate) shared_with_groups: Vec<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl TryFrom<MemoryRow> for MemoryRecord {
    type Error = MemoryStoreError;

    fn try_from(row: MemoryRow) -> MemoryStoreResult<Self> {
        let visibility = row
            .visibility
            .parse()
            .map_err(|error| error::damaged(format!("memory {}", row.id), format!("{error}")))?;
        let mut record = Self::from_parts(row.id, row.content, row.node_type, row.created_at);
        record.tags = row.tags;
        record.metadata = row.metadata;
        record.domains = row.domains;
        record.domain_scores = row.domain_scores.0;
        record.embedding = row.embedding;
        record.codebase = row.codebase;
        record.session = row.session;
        record.owner_user_id = row.owner_user_id;
        record.visibility = visibility;
        record.shared_with_groups = row.shared_with_groups;
        record.updated_at = row.updated_at;
        Ok(record)
    }
}

/// The records of many rows.
pub(crate) fn records(rows: Vec<MemoryRow>) -> MemoryStoreResult<Vec<MemoryRecord>> {
    rows.into_iter().map(MemoryRecord::try_from).collect()
}

/// A row of `search.sql`.
#[derive(Debug)]
pub(crate) struct FoundRow {
    pub(crate) id: Uuid,
    pub(crate) content: String,
    pub(crate) node_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Value,
    pub(crate) domains: Vec<String>,
    pub(crate) domain_scores: Json<BTreeMap<String, f64>>,
    /// As [`vector`] reads it.
    pub(crate) embedding: Option<Vec<u8>>,
    pub(crate) codebase: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) owner_user_id: Uuid,
    pub(crate) visibility: String,
    pub(crate) shared_with_groups: Vec<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    /// None where the similarity alone is the score.
    pub(crate) score: Option<f64>,
    pub(crate) fts_score: Option<f64>,
    pub(crate) fts_rank: Option<i64>,
    pub(crate) vector_rank: Option<i64>,
    /// The ends of the legs.
    pub(crate) best_keyword: Option<f64>,
    pub(crate) best_vector: Option<f64>,
    pub(crate) last_vector: Option<f64>,
    /// How many the vector leg found.
    pub(crate) found_vectors: i64,
    /// The number of the passage that matches best, of several.
    pub(crate) passage: Option<i32>,
    /// Whether any memory of the store is part of a session.
    pub(crate) has_sessions: bool,
    /// Whether content and metadata are all there; otherwise the content ends as it does in the store.
    pub(crate) is_whole: bool,
}

impl FoundRow {
    /// The result for a question with this vector, or with none, and legs of this depth. The scores are
    /// computed again here, because the server fuses similarities that it has measured in single precision.
    pub(crate) fn result(
        self,
        asked: Option<&[f32]>,
        fusion: &Fusion,
        depth: usize,
    ) -> MemoryStoreResult<SearchResult> {
        let rank = |rank: Option<i64>| rank.and_then(|rank| u32::try_from(rank).ok());
        let embedding = self.embedding.as_deref().map(vector).transpose()?;
        let found = self.vector_rank.and(embedding.as_deref());
        let vector_score =
            found.zip(asked).map(|(found, asked)| round_score(cosine_similarity(found, asked)));
        let (fts_rank, vector_rank) = (rank(self.fts_rank), rank(self.vector_rank));
        let scale = FusionScale::by_ends(
            self.best_keyword,
            self.best_vector.zip(self.last_vector),
            count(self.found_vectors) as usize,
            depth,
        );
        let fused = |_| fusion.score(&scale, fts_rank.zip(self.fts_score), vector_rank.zip(vector_score));
        let score = if asked.is_some() { self.score.map(fused) } else { self.score };
        let score = score.or(vector_score).ok_or_else(|| {
            error::damaged(format!("memory {}", self.id), "it was found by neither words nor meaning")
        })?;
        Ok(SearchResult {
            score,
            fts_score: self.fts_score,
            vector_score,
            fts_rank,
            vector_rank,
            passage: None,
            record: MemoryRow {
                id: self.id,
                content: self.content,
                node_type: self.node_type,
                tags: self.tags,
                metadata: self.metadata,
                domains: self.domains,
                domain_scores: self.domain_scores,
                embedding,
                codebase: self.codebase,
                session: self.session,
                owner_user_id: self.owner_user_id,
                visibility: self.visibility,
                shared_with_groups: self.shared_with_groups,
                created_at: self.created_at,
                updated_at: self.updated_at,
            }
            .try_into()?,
        })
    }
}

/// A vector in the binary format of pgvector: two bytes that say how many components there are, two that say
/// nothing, and the components.
fn vector(sent: &[u8]) -> MemoryStoreResult<Vec<f32>> {
    let components = sent.get(4..).map(<[u8]>::as_chunks::<4>);
    match components {
        Some((components, [])) => {
            Ok(components.iter().map(|&component| f32::from_be_bytes(component)).collect())
        }
        _ => Err(error::damaged("a vector", format!("{} bytes are none", sent.len()))),
    }
}

/// A row of `scheduling`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SchedulingRow {
    pub(crate) memory_id: Uuid,
    pub(crate) stability: f64,
    pub(crate) difficulty: f64,
    pub(crate) retrievability: f64,
    pub(crate) last_review: Option<DateTime<Utc>>,
    pub(crate) next_review: Option<DateTime<Utc>>,
    pub(crate) reps: i32,
    pub(crate) lapses: i32,
}

impl TryFrom<SchedulingRow> for SchedulingState {
    type Error = MemoryStoreError;

    fn try_from(row: SchedulingRow) -> MemoryStoreResult<Self> {
        let count = |count: i32| {
            u32::try_from(count).map_err(|_| {
                error::damaged(format!("scheduling of memory {}", row.memory_id), "a count is negative")
            })
        };
        Ok(Self {
            stability: row.stability,
            difficulty: row.difficulty,
            retrievability: row.retrievability,
            last_review: row.last_review,
            next_review: row.next_review,
            reps: count(row.reps)?,
            lapses: count(row.lapses)?,
        })
    }
}

/// A due memory: its row and its state.
pub(crate) fn due(memory: MemoryRow, scheduling: SchedulingRow) -> MemoryStoreResult<DueMemory> {
    Ok(DueMemory { record: memory.try_into()?, scheduling: scheduling.try_into()? })
}

/// A row of `review_events`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ReviewRow {
    pub(crate) id: Uuid,
    pub(crate) memory_id: Uuid,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) rating: String,
    pub(crate) prior_state: Option<Json<SchedulingState>>,
    pub(crate) new_state: Json<SchedulingState>,
}

impl TryFrom<ReviewRow> for ReviewEvent {
    type Error = MemoryStoreError;

    fn try_from(row: ReviewRow) -> MemoryStoreResult<Self> {
        let rating = row
            .rating
            .parse()
            .map_err(|error| error::damaged(format!("review event {}", row.id), format!("{error}")))?;
        Ok(Self {
            id: row.id,
            memory_id: row.memory_id,
            timestamp: row.timestamp,
            rating,
            prior_state: row.prior_state.map(|state| state.0),
            new_state: row.new_state.0,
        })
    }
}

/// A row of `domains`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct DomainRow {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) centroid: Option<Vec<f32>>,
    pub(crate) top_terms: Vec<String>,
    pub(crate) memory_count: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) metadata: Value,
}

impl TryFrom<DomainRow> for Domain {
    type Error = MemoryStoreError;

    fn try_from(row: DomainRow) -> MemoryStoreResult<Self> {
        let memory_count = u64::try_from(row.memory_count)
            .map_err(|_| error::damaged(format!("domain {}", row.id), "memory_count is negative"))?;
        Ok(Self {
            id: row.id,
            label: row.label,
            centroid: row.centroid,
            top_terms: row.top_terms,
            memory_count,
            created_at: row.created_at,
            metadata: row.metadata,
        })
    }
}

/// A row of `embedding_model` or `reembedding`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ModelRow {
    pub(crate) name: String,
    pub(crate) dimension: i32,
    pub(crate) hash: String,
}

impl TryFrom<ModelRow> for ModelSignature {
    type Error = MemoryStoreError;

    fn try_from(row: ModelRow) -> MemoryStoreResult<Self> {
        let dimension = usize::try_from(row.dimension)
            .map_err(|_| error::damaged("the registered model", "its dimension is negative"))?;
        Ok(Self { name: row.name, dimension, hash: row.hash })
    }
}

/// A number of rows as the database counts it.
pub(crate) fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// A number of rows as a parameter. Limits are checked to be far smaller.
pub(crate) fn parameter(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A count as an integer column holds it. States are checked to fit.
pub(crate) fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A count as a bigint column holds it. Domains are checked to fit.
pub(crate) fn big(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_read_as_pgvector_sends_it() {
        let sent = [0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0];
        assert_eq!(vector(&sent).unwrap(), [1.0, -2.0]);
        for short in [3, 11] {
            assert!(vector(&sent[..short]).is_err());
        }
    }
}
