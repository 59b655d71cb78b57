use std::sync::atomic::Ordering;

use vestige_traits::{Embedder, EmbedderResult, MemoryStore, MemoryStoreError, ModelSignature};

use crate::error::MemoryResult;
use crate::memory::Memory;

/// Texts are compared by their vectors if the model knows this share of them, or more. The bundled model
/// knows 0.2 to 0.7 of a sentence in Latin script that is not English. In other scripts it knows 0.1 and
/// less, or up to 0.4 where Latin words or numbers stand among few others.
pub(crate) const KNOWN_SHARE: f64 = 0.4;

impl<S, E> Memory<S, E>
where
    S: MemoryStore + Sync,
    E: Embedder + Sync,
{
    /// Registers the embedder's model in the store now, rather than with the first vector.
    ///
    /// Call it where a program starts, so that a store of another model is reported before any work is done.
    ///
    /// # Errors
    ///
    /// [`ModelMismatch`](MemoryStoreError::ModelMismatch) if the store belongs to another model, and those of
    /// the store.
    pub async fn register_model(&self) -> MemoryResult<()> {
        if self.has_model() && !self.bound().load(Ordering::Acquire) {
            self.store().register_model(self.embedder().signature()).await?;
            self.bound().store(true, Ordering::Release);
        }
        Ok(())
    }

    /// One vector for each text; none for a text in which the model knows no word.
    pub(crate) async fn embed_documents(&self, texts: &[&str]) -> MemoryResult<Vec<Option<Vec<f32>>>> {
        Ok(self.embedder().embed_documents(texts).await?)
    }

    /// The vector of a question; none if the store has no vectors yet, or the model knows none of the words.
    pub(crate) async fn embed_query(&self, text: &str) -> MemoryResult<Option<Vec<f32>>> {
        if !self.has_model() {
            return Ok(None);
        }
        if !self.bound().load(Ordering::Acquire) {
            // A search writes nothing: a store without a model stays without one.
            let Some(registered) = self.store().registered_model().await? else { return Ok(None) };
            let signature = self.embedder().signature();
            if registered != *signature {
                return Err(MemoryStoreError::model_mismatch(&registered, signature).into());
            }
            self.register_model().await?;
        }
        Ok(self.embedder().embed_query(text).await?)
    }

    /// Whether there is a model behind the embedder, and so something to register.
    fn has_model(&self) -> bool {
        self.embedder().signature().dimension > 0
    }
}

/// An embedder without a model: no text has a vector.
///
/// A [`Memory`] with it stores texts without vectors and finds them by words alone. It works with every
/// store, whatever model the store belongs to. It finds near duplicates by their words, and the text that an
/// edit changes loses its vector.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEmbedder;

/// Its dimension of 0, which no model has, marks it.
static NO_MODEL: ModelSignature = ModelSignature { name: String::new(), dimension: 0, hash: String::new() };

impl Embedder for NoEmbedder {
    fn signature(&self) -> &ModelSignature {
        &NO_MODEL
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        Ok(vec![None; texts.len()])
    }

    async fn embed_query(&self, _: &str) -> EmbedderResult<Option<Vec<f32>>> {
        Ok(None)
    }

    fn known_share(&self, _: &str) -> f64 {
        0.0
    }
}
