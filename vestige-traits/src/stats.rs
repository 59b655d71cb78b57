//! What a store holds, and how it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::MemoryStoreError;
use crate::model::ModelSignature;
use crate::words::words;

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreStats {
    /// The kind of store, such as `sqlite`.
    pub backend: String,
    /// Memories.
    pub memories: u64,
    /// Memories that have a vector.
    pub embedded: u64,
    /// Memories by type.
    pub by_type: BTreeMap<String, u64>,
    /// Memories by code base. Those without one are not counted here.
    pub by_codebase: BTreeMap<String, u64>,
    /// Memories that have a scheduling state.
    pub scheduled: u64,
    /// Memories whose review is due now.
    pub due: u64,
    /// Edges.
    pub edges: u64,
    /// Events in the review log.
    pub review_events: u64,
    /// Domains.
    pub domains: u64,
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// The registered model.
    pub model: Option<ModelSignature>,
    /// The earliest `created_at`.
    pub oldest: Option<DateTime<Utc>>,
    /// The latest `created_at`.
    pub newest: Option<DateTime<Utc>>,
    /// What the store takes on disk, in bytes, indexes included; 0 for a store that is not on disk.
    pub size_bytes: u64,
    /// The version of its schema; 0 for a store that has none.
    pub schema_version: i64,
}

/// Whether a store can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
#[non_exhaustive]
pub enum HealthStatus {
    /// Everything works.
    Healthy,
    /// It answers, and something is amiss.
    Degraded {
        /// What is amiss and what to do.
        reason: String,
    },
    /// It does not answer.
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
}

impl HealthStatus {
    /// [`Unavailable`](Self::Unavailable), because the store answered with `error`. Its reason does not say a
    /// second time that the store is unavailable.
    pub fn unavailable(error: MemoryStoreError) -> Self {
        match error {
            MemoryStoreError::Unavailable { reason, .. } => Self::Unavailable { reason },
            error => Self::Unavailable { reason: error.to_string() },
        }
    }
}

/// Something that [`diagnose`](crate::MemoryStore::diagnose) looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, such as `keyword index`.
    pub subject: String,
    /// What was found, in one line.
    pub message: String,
    /// What to do about it, where something should be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// `subject` is as it should be.
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, subject: subject.into(), message: message.into(), remedy: None }
    }

    /// `subject` works and should be looked after.
    pub fn warning(
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            subject: subject.into(),
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// `subject` is broken.
    pub fn error(subject: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::warning(subject, message, remedy) }
    }
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, and should be looked after.
    Warning,
    /// Broken.
    Error,
}

words!(Severity { Ok: "ok", Warning: "warning", Error: "error" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unavailable_store_says_so_once() {
        let full = MemoryStoreError::Unavailable {
            reason: "its disk is full".to_owned(),
            retryable: false,
            source: None,
        };
        for (error, said) in
            [(full, "its disk is full"), (MemoryStoreError::ReadOnly, "the store is open for reading only")]
        {
            let reason = said.to_owned();
            assert_eq!(HealthStatus::unavailable(error), HealthStatus::Unavailable { reason });
        }
    }
}
