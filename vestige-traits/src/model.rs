use std::fmt;

use serde::{Deserialize, Serialize};

/// What an embedding model is, precisely enough to tell whether two vectors may be compared.
///
/// Two signatures are the same model only if all three fields are equal. The `hash` covers whatever changes a
/// vector: the weights, the tokenizer, the pooling, the prefixes and the normalisation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelSignature {
    /// The model's published name, such as `sentence-transformers/all-MiniLM-L6-v2`.
    pub name: String,
    /// The length of its vectors, 1 to [`limits::MAX_DIMENSION`](crate::limits::MAX_DIMENSION).
    pub dimension: usize,
    /// 64 lowercase hexadecimal digits: BLAKE3 over the model's files and its text preparation.
    pub hash: String,
}

impl fmt::Display for ModelSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.hash.get(..12).unwrap_or(&self.hash);
        write!(f, "{} ({} dimensions, hash {short}…)", self.name, self.dimension)
    }
}
