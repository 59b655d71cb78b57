use std::error::Error as StdError;
use std::fmt;

use uuid::Uuid;

use crate::model::ModelSignature;

/// The result of a store's operation.
pub type MemoryStoreResult<T> = Result<T, MemoryStoreError>;

/// A driver's error, kept whole. Callers may downcast it.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Why an operation of a store failed.
///
/// Each variant says what the caller can do about it. An operation that returns an error has changed nothing,
/// unless its documentation says otherwise.
///
/// ```
/// use vestige_traits::MemoryStoreError;
///
/// fn advice(error: &MemoryStoreError) -> &'static str {
///     match error {
///         error if error.is_retryable() => "try again after a pause",
///         MemoryStoreError::Conflict { .. } => "read it again, then decide again",
///         MemoryStoreError::InvalidInput { .. } => "correct the input",
///         _ => "tell the user",
///     }
/// }
/// assert_eq!(advice(&MemoryStoreError::invalid("content", "must not be empty")), "correct the input");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryStoreError {
    /// The memory, edge or other row is not in the store. Look up its key again.
    #[error("{entity} {id} does not exist")]
    NotFound {
        /// The kind of thing, such as `memory` or `edge`.
        entity: &'static str,
        /// Its key.
        id: String,
    },

    /// The store already has a row with this key. Update that row, or choose another key.
    #[error("{entity} {id} already exists")]
    AlreadyExists {
        /// The kind of thing, such as `memory`.
        entity: &'static str,
        /// Its key.
        id: String,
    },

    /// The input breaks a rule. Correct it; the same call fails again.
    #[error("{field}: {rule}")]
    InvalidInput {
        /// The name of the field in its type.
        field: String,
        /// The rule, with the value that breaks it where it is short.
        rule: String,
    },

    /// The store's vectors belong to another model. Open the right model, or re-embed the store.
    #[error("the store is embedded with {registered}, and this is {actual}")]
    ModelMismatch {
        /// The model in the store's registry.
        registered: Box<ModelSignature>,
        /// The caller's model, as far as it is known.
        actual: Box<ActualModel>,
    },

    /// The record has a vector, and the store has no model. Call `register_model` first.
    #[error("no embedding model is registered in this store, so it cannot take a vector")]
    ModelNotRegistered,

    /// Another writer changed the same row, or added memories, first. Read it again, then decide again.
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

    /// A newer Vestige wrote the store. Upgrade this program; the store was not changed.
    #[error("the store has schema version {found}, this program knows up to {supported}: upgrade vestige")]
    SchemaTooNew {
        /// The version found.
        found: i64,
        /// The newest version this program can read.
        supported: i64,
    },

    /// The file or database is not a Vestige store, or is damaged. Restore a backup or an archive.
    #[error("{what} cannot be used: {reason}")]
    Damaged {
        /// The file or database, without any password.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// The driver's error, if there is one.
        #[source]
        source: Option<BoxError>,
    },

    /// The backend failed for a reason that no other variant names. If `retryable` is true, make the same
    /// call again after a pause; otherwise log the error with its source and give up.
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
        /// Why it cannot be reached, and what to do.
        reason: String,
        /// Whether the same call may succeed later without anybody doing something first.
        retryable: bool,
        /// The error that caused it, if there is one.
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

    /// A [`Conflict`](Self::Conflict) over memories that were to be added only if no others were.
    pub fn added_meanwhile() -> Self {
        Self::conflict("the store", "memories were added meanwhile; search again")
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
    /// True, for example, for a lock that another writer holds, a serialization failure, a deadlock, and a
    /// lost connection. A write that was interrupted by a lost connection may have been committed: repeat it
    /// only if the operation is idempotent, or read first.
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
