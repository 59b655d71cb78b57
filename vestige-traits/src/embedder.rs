use std::error::Error as StdError;

use crate::model::ModelSignature;

/// Turns text into vectors that can be compared by cosine similarity.
///
/// # Contract
///
/// - Every vector has [`ModelSignature::dimension`] finite components and unit
///   length (L2), so that a dot product is a cosine similarity.
/// - A text in which the model knows no word (an empty one, or for many models
///   emoji alone) has no vector: the answer for it is `None`, and no error.
///   Such a memory is stored without a vector and found by its words alone.
/// - The answer for a text depends on the text and on the signature alone: not on the other
///   texts of the call, not on the machine, not on what was embedded before.
/// - Documents and queries may be prepared differently (prefixes); callers
///   embed what they store with [`embed_documents`](Self::embed_documents) and
///   what they search for with [`embed_query`](Self::embed_query).
/// - Dropping a future loses its result and nothing else.
///
/// # Example
///
/// ```
/// use vestige_traits::{Embedder, EmbedderResult};
///
/// /// Works with every embedder.
/// async fn similarity<E: Embedder + Sync>(embedder: &E, text: &str, question: &str)
/// -> EmbedderResult<Option<f64>>
/// {
///     let document = embedder.embed_documents(&[text]).await?.remove(0);
///     let question = embedder.embed_query(question).await?;
///     let (Some(document), Some(question)) = (document, question) else {
///         return Ok(None); // The model knows no word of one of them.
///     };
///     Ok(Some(vestige_traits::backend::cosine_similarity(&document, &question)))
/// }
/// ```
///
/// # Implementing it
///
/// Implement `Embedder`, the variant whose futures are `Send`. A blanket implementation then provides
/// `LocalEmbedder`. Neither trait is dyn-compatible: callers that choose a model at run time use
/// [`AnyEmbedder`](crate::AnyEmbedder).
#[trait_variant::make(Embedder: Send)]
pub trait LocalEmbedder {
    /// The model that the vectors belong to. It never changes during the life of the value.
    fn signature(&self) -> &ModelSignature;

    /// Embeds texts that are to be stored: one answer for each text, in their
    /// order; `None` for a text in which the model knows no word.
    ///
    /// An empty slice gives an empty answer. Text beyond the model's window is ignored.
    ///
    /// # Errors
    ///
    /// [`EmbedderError::Inference`] if the model fails. All or nothing: on an error no vector is returned.
    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>>;

    /// Embeds a question; `None` if the model knows no word of it.
    ///
    /// `WebQuery::meaning` (with the feature `analysis`) says what of a question should be embedded.
    ///
    /// # Errors
    ///
    /// As for [`embed_documents`](Self::embed_documents).
    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>>;

    /// How much of a text the model knows, 0 to 1: the share of its words, by their weight in the vector.
    ///
    /// A cosine similarity says something about two texts only where the model knows both. A model that
    /// spells unknown words letter by letter gives them all nearly the same vector. So
    /// near-duplicates of a text that is hardly known are judged by its words.
    ///
    /// The answer depends on the text and the signature alone. It is a judgement about words, so it is
    /// cheap: no inference is run. The default is 1, which is right for models that were trained on the
    /// languages they meet.
    fn known_share(&self, _text: &str) -> f64 {
        1.0
    }
}

/// The result of an embedder's operation.
pub type EmbedderResult<T> = Result<T, EmbedderError>;

/// Why a model could not be opened, or failed while it embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedderError {
    /// There is no such model, neither as a file nor in the list of known models. `reason` says what was
    /// tried.
    #[error("embedding model {model:?} is not available: {reason}")]
    ModelUnavailable {
        /// The name or folder that was asked for.
        model: String,
        /// What is missing and what to do.
        reason: String,
    },

    /// The model exists, but cannot be used, because its vectors would break the contract of [`Embedder`].
    #[error("embedding model {model:?} cannot be used: {reason}")]
    Unsupported {
        /// The model's name.
        model: String,
        /// Which part of the contract it breaks.
        reason: String,
    },

    /// A native library that the model needs is missing or too old.
    #[error("{library} cannot be used: {reason}")]
    RuntimeUnavailable {
        /// The library's name.
        library: String,
        /// What was looked for, where, and what to do.
        reason: String,
    },

    /// A file of the model cannot be read or is damaged.
    #[error("model file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The error of reading or parsing it.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The model failed while it computed.
    #[error("embedding failed: {0}")]
    Inference(#[source] Box<dyn StdError + Send + Sync>),
}
