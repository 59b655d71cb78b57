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

    /// Whether a vector of a question may be compared with the store's, from a handle that speaks for
    /// `spoken`.
    ///
    /// False in a store without a model, where no vector finds anything.
    pub(super) fn may_compare(
        &self,
        embedding: &[f32],
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<bool> {
        let Some(registered) = &self.model else { return Ok(false) };
        if let Some(spoken) = spoken.filter(|&spoken| spoken != registered) {
            return Err(MemoryStoreError::model_mismatch(registered, spoken));
        }
        if embedding.len() != registered.dimension {
            return Err(MemoryStoreError::model_mismatch(registered, embedding.len()));
        }
        Ok(true)
    }

    /// Whether the store takes this vector.
    pub(super) fn check_vector(
        &self,
        embedding: Option<&[f32]>,
        spoken: Option<&ModelSignature>,
    ) -> MemoryStoreResult<()> {
        match embedding {
            None => Ok(()),
            Some(embedding) if self.may_compare(embedding, spoken)? => Ok(()),
            Some(_) => Err(MemoryStoreError::ModelNotRegistered),
        }
    }
}
