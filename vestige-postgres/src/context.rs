//! What stands around memories in their sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;
use vestige_traits::{MemoryStoreResult, SessionContext};

use crate::error;
use crate::rows::{self, MemoryRow};
use crate::session::Session;

/// A row of `context.sql`.
#[derive(Debug)]
struct ContextRow {
    /// The place of the memory that was asked for, from 1.
    number: i64,
    is_before: bool,
    id: Uuid,
    content: String,
    node_type: String,
    tags: Vec<String>,
    metadata: Value,
    domains: Vec<String>,
    domain_scores: Json<BTreeMap<String, f64>>,
    embedding: Option<Vec<f32>>,
    codebase: Option<String>,
    session: Option<String>,
    owner_user_id: Uuid,
    visibility: String,
    shared_with_groups: Vec<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ContextRow> for MemoryRow {
    fn from(row: ContextRow) -> Self {
        Self {
            id: row.id,
            content: row.content,
            node_type: row.node_type,
            tags: row.tags,
            metadata: row.metadata,
            domains: row.domains,
            domain_scores: row.domain_scores,
            embedding: row.embedding,
            codebase: row.codebase,
            session: row.session,
            owner_user_id: row.owner_user_id,
            visibility: row.visibility,
            shared_with_groups: row.shared_with_groups,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// At most `each` memories before and after each of these.
pub(crate) async fn get_context(
    session: &mut Session,
    ids: &[Uuid],
    each: usize,
) -> MemoryStoreResult<Vec<SessionContext>> {
    let mut contexts = vec![SessionContext::default(); ids.len()];
    if ids.is_empty() || each == 0 {
        return Ok(contexts);
    }
    let around = sqlx::query_file_as!(ContextRow, "src/sql/context.sql", ids, rows::parameter(each))
        .fetch_all(session)
        .await
        .map_err(error::map)?;
    for row in around {
        let place = usize::try_from(row.number - 1).ok();
        let Some(context) = place.and_then(|place| contexts.get_mut(place)) else { continue };
        let side = if row.is_before { &mut context.before } else { &mut context.after };
        side.push(MemoryRow::from(row).try_into()?);
    }
    Ok(contexts)
}
