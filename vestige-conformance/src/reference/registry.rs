use vestige_traits::backend::Models;
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature};

use super::state::State;

impl State {
    pub(super) fn register_model(&mut self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        signature.validate()?;
        match &self.model {
            Some(registered) if registered != signature => {
                Err(MemoryStoreError::model_mismatch(registered, signature))
            }
            _ => {
                self.model = Some(signature.clone());
                Ok(())
            }
        }
    }

    /// The models of this store and of a handle that is bound to `bound`.
    pub(super) fn models<'m>(&'m self, bound: Option<&'m ModelSignature>) -> Models<'m> {
        Models { registered: self.model.as_ref(), bound }
    }

    /// Whether the store takes this vector from a handle that is bound to `bound`.
    pub(super) fn check_vector(
        &self,
        embedding: Option<&[f32]>,
        bound: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        embedding.map_or(Ok(()), |embedding| self.models(bound).check_vector(embedding.len()))
    }
}
