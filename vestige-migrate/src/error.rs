use std::error::Error;
use std::{fmt, io};

use vestige_traits::transfer::{TransferKey, TransferKind};
use vestige_traits::{EmbedderError, MemoryStoreError, ModelSignature};

/// The result of moving, proving, archiving or re-embedding.
pub type MigrateResult<T> = Result<T, MigrateError>;

/// Why a memory was not moved, archived or re-embedded.
///
/// After any of these errors the source is unchanged, and the target holds what was committed so far: the
/// same call continues from there.
///
/// # Messages and sources
///
/// If a variant holds another error, `Display` prints the message of that error, and `source()` returns the
/// source of that error. So a message is complete, and a chain of causes does not repeat it. The error itself
/// is in the variant.
#[derive(Debug)]
#[non_exhaustive]
pub enum MigrateError {
    /// The store that is read from refused.
    Source(MemoryStoreError),

    /// The store that is written to refused.
    Target(MemoryStoreError),

    /// The store that is re-embedded refused.
    Store(MemoryStoreError),

    /// The embedding model failed.
    Embedder(EmbedderError),

    /// A file, a pipe or a sink refused.
    Io {
        /// What was being done to what.
        what: String,
        /// What the system said.
        source: io::Error,
    },

    /// The archive is truncated, altered, or none. Nothing was written.
    Archive {
        /// The line in the file, from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// A newer Vestige wrote the archive. Nothing was written.
    ArchiveTooNew {
        /// The version in the header.
        found: u64,
        /// The newest version this crate reads.
        supported: u64,
    },

    /// The target holds memories that did not come from this source. Nothing was written.
    TargetNotEmpty {
        /// How many memories it holds.
        memories: u64,
        /// How many rows of other kinds, the built-in user aside.
        others: u64,
    },

    /// Source and target are embedded with different models. Nothing was written.
    ModelsDiffer {
        /// The source's model.
        from: Box<ModelSignature>,
        /// The target's model.
        to: Box<ModelSignature>,
    },

    /// The store was written to while it was archived, so the archive would not hold one moment. It has no
    /// closing line, and no program restores it. Stop the writers, or try again when there are fewer.
    SourceChanged,

    /// Memories came in faster than the model embeds. Nothing is lost: the same call goes on.
    NotCaughtUp {
        /// How many are missing.
        pending: u64,
    },

    /// Somebody else dropped this re-embedding while it was going on, or took the store to another model. No
    /// vector of this model was mixed with those of another. Find the other program, and run the same call
    /// again if it is still wanted.
    ReembeddingEnded {
        /// The model that this re-embedding was to go to.
        wanted: Box<ModelSignature>,
        /// The model that another one goes to now; none if none is under way.
        under_way: Option<Box<ModelSignature>>,
    },

    /// A backend broke its contract. Report it.
    OutOfOrder {
        /// The kind of the rows.
        kind: TransferKind,
        /// The key that came first.
        before: TransferKey,
        /// The key that came after it and should not have.
        after: TransferKey,
    },
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => write!(f, "source: {error}"),
            Self::Target(error) => write!(f, "target: {error}"),
            Self::Store(error) => error.fmt(f),
            Self::Embedder(error) => write!(f, "the new embedding model: {error}"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Archive { line, reason } => write!(f, "line {line}: {reason}"),
            Self::ArchiveTooNew { found, supported } => write!(
                f,
                "the archive has format version {found}, this program reads up to {supported}: upgrade vestige to \
                 restore it"
            ),
            Self::TargetNotEmpty { memories, others } => write!(
                f,
                "the target already holds {memories} memories and {others} other rows that this source did not \
                 bring: choose an empty target, or merge into this one by id (into-existing), which overwrites \
                 nothing and lists every id that is there with other content"
            ),
            Self::ModelsDiffer { from, to } => write!(
                f,
                "the source is embedded with {from} and the target with {to}: re-embed one of them with the other's \
                 model first, or choose an empty target"
            ),
            Self::SourceChanged => f.write_str(
                "the store was written to while it was exported: stop what writes to it and export again",
            ),
            Self::NotCaughtUp { pending } => write!(
                f,
                "memories come in faster than the new model embeds them, and {pending} are still without their new \
                 vector: pause what writes to the store and run the same command again"
            ),
            Self::ReembeddingEnded { wanted, under_way } => {
                write!(f, "somebody else has ended the re-embedding to {wanted} meanwhile")?;
                if let Some(model) = under_way {
                    write!(f, ", and begun one to {model}")?;
                }
                f.write_str(": make sure that only one model is wanted, then run the same command again")
            }
            Self::OutOfOrder { kind, before, after } => write!(
                f,
                "the {kind} rows come out of order: {after} after {before}; this is a defect of the store, report it"
            ),
        }
    }
}

impl Error for MigrateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Source(error) | Self::Target(error) | Self::Store(error) => error.source(),
            Self::Embedder(error) => error.source(),
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}

impl From<EmbedderError> for MigrateError {
    fn from(error: EmbedderError) -> Self {
        Self::Embedder(error)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program says that prints an error with everything behind it.
    fn chain(error: MigrateError) -> String {
        let first: &(dyn Error + 'static) = &error;
        let all = std::iter::successors(Some(first), |&error| error.source());
        all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    fn damaged() -> MemoryStoreError {
        let source = Some(io::Error::other("a torn page").into());
        MemoryStoreError::Damaged { what: "memory 7".to_owned(), reason: "it is cut off".to_owned(), source }
    }

    #[test]
    fn a_chain_of_causes_says_each_thing_once() {
        let file = EmbedderError::File { path: "m".to_owned(), source: "no header".into() };
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "read-only disk");
        for (error, said) in [
            (MigrateError::Source(damaged()), "source: memory 7 cannot be used: it is cut off: a torn page"),
            (MigrateError::Target(damaged()), "target: memory 7 cannot be used: it is cut off: a torn page"),
            (MigrateError::Store(damaged()), "memory 7 cannot be used: it is cut off: a torn page"),
            (
                MigrateError::from(EmbedderError::ModelUnavailable {
                    model: "m".to_owned(),
                    reason: "no folder has that name".to_owned(),
                }),
                "the new embedding model: embedding model \"m\" is not available: no folder has that name",
            ),
            (MigrateError::io("cannot write a.jsonl")(denied), "cannot write a.jsonl: read-only disk"),
        ] {
            assert_eq!(chain(error), said);
        }
        // The store's and the model's own texts hold their cause; nothing is added to that.
        let sqlite = MemoryStoreError::backend("sqlite", "locked", true);
        assert_eq!(chain(MigrateError::Source(sqlite)), "source: sqlite error: locked: locked");
        assert_eq!(chain(file.into()), "the new embedding model: model file m: no header: no header");
    }
}
