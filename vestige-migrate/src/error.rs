use std::io;

use vestige_traits::{EmbedderError, MemoryStoreError, ModelSignature, TransferKey, TransferKind};

/// The result of moving, proving, archiving or re-embedding.
pub type MigrateResult<T> = Result<T, MigrateError>;

/// Why a memory was not moved, archived or re-embedded.
///
/// Whatever is named here, the source is as it was, and what the target has
/// taken in so far is whole: the same call goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The store that is read from refused.
    #[error("source: {0}")]
    Source(#[source] MemoryStoreError),

    /// The store that is written to refused.
    #[error("target: {0}")]
    Target(#[source] MemoryStoreError),

    /// The store that is re-embedded refused.
    #[error(transparent)]
    Store(MemoryStoreError),

    /// The embedding model failed.
    #[error("the new embedding model: {0}")]
    Embedder(#[from] EmbedderError),

    /// A file, a pipe or a sink refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done to what.
        what: String,
        /// What the system said.
        source: io::Error,
    },

    /// The archive is truncated, altered, or none. Nothing was written.
    #[error("line {line}: {reason}")]
    Archive {
        /// The line in the file, from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// A newer Vestige wrote the archive. Nothing was written.
    #[error(
        "the archive has format version {found}, this program reads up to {supported}: upgrade vestige to restore it"
    )]
    ArchiveTooNew {
        /// The version in the header.
        found: u64,
        /// The newest version this crate reads.
        supported: u64,
    },

    /// The target holds memories that did not come from this source. Nothing was written.
    #[error(
        "the target already holds {memories} memories and {others} other rows that this source did not bring: \
         choose an empty target, or merge into this one by id (into-existing), which overwrites nothing and lists \
         every id that is there with other content"
    )]
    TargetNotEmpty {
        /// How many memories it holds.
        memories: u64,
        /// How many rows of other kinds, the built-in user aside.
        others: u64,
    },

    /// Source and target are embedded with different models. Nothing was written.
    #[error(
        "the source is embedded with {from} and the target with {to}: re-embed one of them with the other's model \
         first, or choose an empty target"
    )]
    ModelsDiffer {
        /// The source's model.
        from: Box<ModelSignature>,
        /// The target's model.
        to: Box<ModelSignature>,
    },

    /// The store was written to while it was archived, so the archive would not hold one moment. It has no closing
    /// line, and no program restores it. Stop the writers, or try again when there are fewer.
    #[error("the store was written to while it was exported: stop what writes to it and export again")]
    SourceChanged,

    /// Memories came in faster than the model embeds. Nothing is lost: the same call goes on.
    #[error(
        "memories come in faster than the new model embeds them, and {pending} are still without their new vector: \
         pause what writes to the store and run the same command again"
    )]
    NotCaughtUp {
        /// How many are missing.
        pending: u64,
    },

    /// Somebody else dropped this re-embedding while it was going on, or took the store to another model. No vector of
    /// this model was mixed with those of another. Find out who does, and run the same again if it is still wanted.
    #[error(
        "somebody else has ended the re-embedding to {wanted} meanwhile{}: make sure that only one model is wanted, \
         then run the same command again",
        .under_way.as_ref().map(|model| format!(", and begun one to {model}")).unwrap_or_default()
    )]
    ReembeddingEnded {
        /// The model that this re-embedding was to go to.
        wanted: Box<ModelSignature>,
        /// The model that another one goes to now; none if none is under way.
        under_way: Option<Box<ModelSignature>>,
    },

    /// A backend broke its contract. Report it.
    #[error(
        "the {kind} rows come out of order: {after} after {before}; this is a defect of the store, report it"
    )]
    OutOfOrder {
        /// The kind of the rows.
        kind: TransferKind,
        /// The key that came first.
        before: TransferKey,
        /// The key that came after it and should not have.
        after: TransferKey,
    },
}

impl MigrateError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn archive(line: u64, reason: impl Into<String>) -> Self {
        Self::Archive { line, reason: reason.into() }
    }

    /// Whether the same call may succeed if it is simply made again: a busy database, a lost
    /// connection, a store that was written to meanwhile.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Source(error) | Self::Target(error) | Self::Store(error) => error.is_retryable(),
            Self::SourceChanged | Self::NotCaughtUp { .. } => true,
            _ => false,
        }
    }
}
