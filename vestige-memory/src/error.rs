use vestige_traits::{EmbedderError, MemoryStoreError};

use crate::secrets::SecretIn;

/// The fewest digits that name a memory.
pub(crate) const MIN_DIGITS: usize = 4;

/// The result of an operation of a [`Memory`](crate::Memory).
pub type MemoryResult<T> = Result<T, MemoryError>;

/// Why an operation of a [`Memory`](crate::Memory) did not happen.
///
/// The variant says where to look. What to do is said by the error inside, whose variants are sorted by what
/// a caller must do: for example [`NotFound`](MemoryStoreError::NotFound) means to look the memory up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The store did not do it. Handle the [`MemoryStoreError`].
    #[error(transparent)]
    Store(#[from] MemoryStoreError),

    /// The text could not be embedded. Handle the [`EmbedderError`]; nothing was stored.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),

    /// One of several new memories breaks a rule, so none of them was stored. Correct that one.
    #[error("memories[{index}]: {source}")]
    InvalidMemory {
        /// Its position among the new memories, from 0.
        index: usize,
        /// The rule that it breaks.
        source: MemoryStoreError,
    },

    /// A memory holds what looks like a credential, so nothing was stored. Take it out, and say where it is
    /// kept. Who means it allows it by
    /// [`RememberOptions::allow_secrets`](crate::RememberOptions::allow_secrets) or
    /// [`MemoryBuilder::allow_secrets`](crate::MemoryBuilder::allow_secrets). The message names rule and
    /// place, and does not repeat the credential.
    #[error("{}{found}", of_memory(*.index))]
    Secret {
        /// The position of the memory among several new ones, from 0; none where there is one.
        index: Option<usize>,
        /// What was found first, and where.
        found: SecretIn,
    },

    /// A text does not name one memory. Ask for more digits, or for the whole id.
    #[error(transparent)]
    Id(#[from] IdError),
}

fn of_memory(index: Option<usize>) -> String {
    index.map(|index| format!("memories[{index}].")).unwrap_or_default()
}

impl MemoryError {
    /// Whether the same call may succeed if it is made again, as [`MemoryStoreError::is_retryable`] says.
    pub fn is_retryable(&self) -> bool {
        self.store_error().is_some_and(MemoryStoreError::is_retryable)
    }

    /// The store's error, where one is behind this.
    pub fn store_error(&self) -> Option<&MemoryStoreError> {
        match self {
            Self::Store(error) | Self::InvalidMemory { source: error, .. } => Some(error),
            Self::Embedder(_) | Self::Secret { .. } | Self::Id(_) => None,
        }
    }
}

/// Why a text does not name one memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// It is neither a UUID nor the beginning of one. Correct it.
    #[error("{text:?} is no id; give a UUID or its first digits, at least {min}", min = MIN_DIGITS)]
    NotAnId {
        /// The text, shortened to 60 characters.
        text: String,
    },

    /// Several ids begin with it. Give more digits.
    #[error("{text} begins more than one id; give more of its digits")]
    Ambiguous {
        /// The digits.
        text: String,
    },

    /// No id begins with it. Look the memory up again.
    #[error("no memory has an id that begins with {text}")]
    Unknown {
        /// The digits.
        text: String,
    },
}
