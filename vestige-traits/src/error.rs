use std::error::Error as StdError;
use std::fmt;

use uuid::Uuid;

use crate::model::ModelSignature;

/// The result of a store's operation.
pub type MemoryStoreResult<T> = Result<T, MemoryStoreError>;

/// A driver's error, kept whole. Callers may downcast it.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Why a store's operation did not happen.
///
/// Each variant says what the caller can do about it. An operation that
/// returns an error has changed nothing, unless its documentation says
/// otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryStoreError {
    /// What the operation works on is not in the store. Look it up again.
    #[error("{entity} {id} does not exist")]
    NotFound {
        /// The kind of thing, such as `memory` or `edge`.
        entity: &'static str,
        /// Its key.
        id: String,
    },

    /// Something with this key is in the store. Update it, or choose another key.
    #[error("{entity} {id} already exists")]
    AlreadyExists {
        /// The kind of thing, such as `memory`.
        entity: &'static str,
        /// Its key.
        id: String,
    },

    /// The input breaks a rule. Mend it; trying again does not help.
    #[error("{field}: {rule}")]
    InvalidInput {
        /// The field, as the type spells it.
        field: String,
        /// What is wrong with it and what would be right.
        rule: String,
    },

    /// The store's vectors belong to another model. Open the right model, or re-embed the store.
    #[error("the store is embedded with {registered}, and this is {actual}")]
    ModelMismatch {
        /// The model in the store's registry.
        registered: Box<ModelSignature>,
        /// What the caller came with.
        actual: Box<ActualModel>,
    },

    /// A vector came in and no model is registered. Call `register_model` first.
    #[error("no embedding model is registered in this store, so it cannot take a vector")]
    ModelNotRegistered,

    /// Somebody else changed the same thing first. Read it again, decide again.
    #[error("{what}: {reason}")]
    Conflict {
        /// What changed, such as `scheduling of memory …`.
        what: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// The store was opened read-only. Open it for writing.
    #[error("the store is open for reading only")]
    ReadOnly,

    /// The store was written by a newer Vestige. Upgrade this one; the store is as it was.
    #[error("the store has schema version {found}, this program knows up to {supported}: upgrade vestige")]
    SchemaTooNew {
        /// The version found.
        found: i64,
        /// The newest version this program can read.
        supported: i64,
    },

    /// What lies there is no Vestige store, or is damaged. Restore a backup or an archive.
    #[error("{what} cannot be used: {reason}")]
    Damaged {
        /// The file or database, without any password.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What the driver said, where it said something.
        #[source]
        source: Option<BoxError>,
    },

    /// The backend failed for a reason that no other variant names. If `retryable` is true, make the same call again
    /// after a pause; otherwise log the error with its source and give up.
    #[error("{name} error: {source}")]
    Backend {
        /// The backend's name, such as `sqlite` or `postgres`.
        name: &'static str,
        /// The driver's error.
        source: BoxError,
        /// Whether trying again can help: a lock that somebody holds, a deadlock, a lost connection.
        retryable: bool,
    },

    /// The store cannot be reached now: it is shutting down, its pool is exhausted, its disk is full.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What is in the way, and what to do.
        reason: String,
        /// Whether trying again can help without anybody doing something first.
        retryable: bool,
        /// What lies behind it, where there is something.
        #[source]
        source: Option<BoxError>,
    },
}

impl MemoryStoreError {
    /// An [`InvalidInput`](Self::InvalidInput): `field` breaks `rule`.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::InvalidInput { field: field.into(), rule: rule.into() }
    }

    /// A [`NotFound`](Self::NotFound) for the `entity` with the key `id`.
    pub fn not_found(entity: &'static str, id: impl fmt::Display) -> Self {
        Self::NotFound { entity, id: id.to_string() }
    }

    /// An [`AlreadyExists`](Self::AlreadyExists) for the `entity` with the key `id`.
    pub fn already_exists(entity: &'static str, id: impl fmt::Display) -> Self {
        Self::AlreadyExists { entity, id: id.to_string() }
    }

    /// A [`Conflict`](Self::Conflict) over `what`.
    pub fn conflict(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Conflict { what: what.into(), reason: reason.into() }
    }

    /// A [`Conflict`](Self::Conflict) over a memory that is not in the version that was to be updated.
    pub fn changed_meanwhile(id: Uuid) -> Self {
        Self::conflict(format!("memory {id}"), "it was changed meanwhile; read it again")
    }

    /// A [`Backend`](Self::Backend) error: what the driver of the backend `name` reported.
    ///
    /// ```
    /// use vestige_traits::MemoryStoreError;
    ///
    /// let driver = std::io::Error::other("connection reset by peer");
    /// let error = MemoryStoreError::backend("redis", driver, true);
    /// assert_eq!(error.to_string(), "redis error: connection reset by peer");
    /// assert!(error.is_retryable());
    /// ```
    pub fn backend(name: &'static str, source: impl Into<BoxError>, retryable: bool) -> Self {
        Self::Backend { name, source: source.into(), retryable }
    }

    /// A [`ModelMismatch`](Self::ModelMismatch) between the registry and what the caller came with.
    pub fn model_mismatch(registered: &ModelSignature, actual: impl Into<ActualModel>) -> Self {
        Self::ModelMismatch { registered: Box::new(registered.clone()), actual: Box::new(actual.into()) }
    }

    /// Whether the same call may succeed if it is simply made again.
    ///
    /// True for a busy or locked SQLite file, for PostgreSQL's serialization
    /// failures (40001) and deadlocks (40P01), and for lost connections. A
    /// write that was interrupted by a lost connection may have been
    /// committed: repeat it only where the operation is idempotent, or look first.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Backend { retryable, .. } | Self::Unavailable { retryable, .. } => *retryable,
            _ => false,
        }
    }
}

/// The model that a caller came with, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActualModel {
    /// A whole signature, given to `register_model`.
    Signature(ModelSignature),
    /// A vector's length, which is all that a vector tells of its model.
    Dimension(usize),
}

impl fmt::Display for ActualModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(signature) => signature.fmt(f),
            Self::Dimension(dimension) => write!(f, "a vector of {dimension} dimensions"),
        }
    }
}

impl From<&ModelSignature> for ActualModel {
    fn from(signature: &ModelSignature) -> Self {
        Self::Signature(signature.clone())
    }
}

impl From<usize> for ActualModel {
    fn from(dimension: usize) -> Self {
        Self::Dimension(dimension)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_third_backend_reports_as_itself_and_keeps_its_source() {
        for retryable in [true, false] {
            let error = MemoryStoreError::backend("redis", io::Error::other("MOVED 3999"), retryable);
            assert_eq!(error.to_string(), "redis error: MOVED 3999");
            assert_eq!(error.is_retryable(), retryable);
            let MemoryStoreError::Backend { name: "redis", source, .. } = error else { panic!("{error:?}") };
            assert!(source.downcast::<io::Error>().is_ok());
        }
    }
}
