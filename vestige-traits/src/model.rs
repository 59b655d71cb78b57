use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::limits;

/// What an embedding model is, precisely enough to tell whether two vectors may be compared.
///
/// Two signatures are the same model only if all three fields are equal. The
/// `hash` covers whatever changes a vector: the weights, the tokenizer, the
/// pooling, the prefixes and the normalisation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelSignature {
    /// The model's published name, such as `sentence-transformers/all-MiniLM-L6-v2`.
    pub name: String,
    /// The length of its vectors, 1 to [`limits::MAX_DIMENSION`].
    pub dimension: usize,
    /// 64 lowercase hexadecimal digits: BLAKE3 over the model's files and its text preparation.
    pub hash: String,
}

impl ModelSignature {
    /// Checks the rules on each field.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming `model.name`,
    /// `model.dimension` or `model.hash`.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_text("model.name", &self.name, limits::MAX_NAME_BYTES)?;
        if self.name.trim().is_empty() {
            return Err(MemoryStoreError::invalid("model.name", "must not be empty"));
        }
        if !(1..=limits::MAX_DIMENSION).contains(&self.dimension) {
            return Err(MemoryStoreError::invalid(
                "model.dimension",
                format!("is {}, must be 1 to {}", self.dimension, limits::MAX_DIMENSION),
            ));
        }
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if self.hash.len() != 64 || !self.hash.bytes().all(hex) {
            return Err(MemoryStoreError::invalid("model.hash", "must be 64 lowercase hexadecimal digits"));
        }
        Ok(())
    }
}

impl fmt::Display for ModelSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.hash.get(..12).unwrap_or(&self.hash);
        write!(f, "{} ({} dimensions, hash {short}…)", self.name, self.dimension)
    }
}
