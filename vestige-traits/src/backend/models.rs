use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::model::ModelSignature;

/// The models by which a store decides whether a vector may come in.
///
/// ```
/// use vestige_traits::ModelSignature;
/// use vestige_traits::backend::Models;
///
/// let model = ModelSignature { name: "static".into(), dimension: 256, hash: "a1".into() };
/// let models = Models { registered: Some(&model), bound: None };
/// assert!(models.check_vector(256).is_ok());
/// assert!(models.check_vector(384).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Models<'m> {
    /// The model in the store's registry.
    pub registered: Option<&'m ModelSignature>,
    /// The model that the handle is bound to, by `register_model` or by the switch of a re-embedding.
    pub bound: Option<&'m ModelSignature>,
}

impl Models<'_> {
    /// Refuses every vector of a handle that is bound to another model than the registered one.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::ModelMismatch`].
    pub fn check_bound(&self) -> MemoryStoreResult<()> {
        match (self.registered, self.bound) {
            (Some(registered), Some(bound)) if registered != bound => {
                Err(MemoryStoreError::model_mismatch(registered, bound))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a vector of `dimension` components that the store must not take from this handle.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::ModelNotRegistered`] in a store without a model, and otherwise
    /// [`MemoryStoreError::ModelMismatch`], for the handle's model before the vector's length.
    pub fn check_vector(&self, dimension: usize) -> MemoryStoreResult<()> {
        if self.may_compare(dimension)? { Ok(()) } else { Err(MemoryStoreError::ModelNotRegistered) }
    }

    /// Whether a vector of `dimension` components can be compared with the store's. False in a store without
    /// a model, where no vector finds anything.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::ModelMismatch`], for the handle's model before the vector's length.
    pub fn may_compare(&self, dimension: usize) -> MemoryStoreResult<bool> {
        let Some(registered) = self.registered else { return Ok(false) };
        self.check_bound()?;
        if dimension != registered.dimension {
            return Err(MemoryStoreError::model_mismatch(registered, dimension));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ActualModel;

    fn model(name: &str) -> ModelSignature {
        ModelSignature { name: name.to_owned(), dimension: 4, hash: "0".to_owned() }
    }

    #[test]
    fn a_store_without_a_model_takes_no_vector_and_finds_nothing_by_one() {
        let bound = model("a");
        for bound in [None, Some(&bound)] {
            let models = Models { registered: None, bound };
            assert!(matches!(models.check_vector(4), Err(MemoryStoreError::ModelNotRegistered)));
            assert!(matches!(models.may_compare(4), Ok(false)));
        }
    }

    #[test]
    fn the_model_of_the_handle_is_checked_before_the_length_of_the_vector() {
        let (registered, other) = (model("a"), model("b"));
        let models = Models { registered: Some(&registered), bound: Some(&other) };
        let Err(MemoryStoreError::ModelMismatch { actual, .. }) = models.check_vector(5) else {
            panic!("taken")
        };
        assert_eq!(*actual, ActualModel::Signature(other));
        let models = Models { registered: Some(&registered), bound: Some(&registered) };
        let Err(MemoryStoreError::ModelMismatch { actual, .. }) = models.check_vector(5) else {
            panic!("taken")
        };
        assert_eq!(*actual, ActualModel::Dimension(5));
        assert!(models.check_vector(4).is_ok());
    }
}
