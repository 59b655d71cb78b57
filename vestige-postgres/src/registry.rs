//! The model that the vectors belong to.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature};

use crate::error;
use crate::indexes;
use crate::pool::NO_TIMEOUT;
use crate::rows::ModelRow;
use crate::session::Session;
use crate::store::PgMemoryStore;

/// The model a handle speaks for, as parameters of a statement; nulls for a handle that speaks for none.
pub(crate) struct Spoken(Option<Arc<ModelSignature>>);

impl Spoken {
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref().map(|model| model.name.as_str())
    }

    pub(crate) fn dimension(&self) -> Option<i32> {
        self.0.as_deref().map(|model| dimension(model.dimension))
    }

    pub(crate) fn hash(&self) -> Option<&str> {
        self.0.as_deref().map(|model| model.hash.as_str())
    }

    /// What an error of a statement with a vector of this length means.
    pub(crate) fn error(&self, error: sqlx::Error, vector: usize) -> MemoryStoreError {
        error::of_vector(error, self.0.as_deref(), vector)
    }
}

/// A dimension as a parameter. Vectors are checked to be far shorter.
pub(crate) fn dimension(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// The registered model.
pub(crate) async fn read(connection: &mut Session) -> MemoryStoreResult<Option<ModelSignature>> {
    sqlx::query_as!(ModelRow, "SELECT name, dimension, hash FROM embedding_model")
        .fetch_optional(connection)
        .await
        .map_err(error::of)?
        .map(ModelSignature::try_from)
        .transpose()
}

/// Whether the store takes vectors of this length from a handle that speaks for `spoken`.
pub(crate) fn check(
    registered: Option<&ModelSignature>,
    spoken: Option<&ModelSignature>,
    vector: usize,
) -> MemoryStoreResult<()> {
    let Some(registered) = registered else { return Err(MemoryStoreError::ModelNotRegistered) };
    if let Some(spoken) = spoken.filter(|&spoken| spoken != registered) {
        return Err(MemoryStoreError::model_mismatch(registered, spoken));
    }
    if vector != registered.dimension {
        return Err(MemoryStoreError::model_mismatch(registered, vector));
    }
    Ok(())
}

impl PgMemoryStore {
    pub(crate) fn spoken_parameters(&self) -> Spoken {
        Spoken(self.spoken())
    }

    pub(crate) async fn read_model(&self) -> MemoryStoreResult<Option<ModelSignature>> {
        read(&mut self.connection().await?).await
    }

    pub(crate) async fn write_model(&self, signature: &ModelSignature) -> MemoryStoreResult<()> {
        signature.validate()?;
        let registered = match self.read_model().await? {
            Some(registered) => registered,
            None => self.stamp_model(signature).await?,
        };
        if registered != *signature {
            return Err(MemoryStoreError::model_mismatch(&registered, signature));
        }
        self.speak_for(registered);
        Ok(())
    }

    /// Registers a model in a store that has none: the row, the dimension of the column, the vector index. Returns
    /// the model that is registered then, which may be another process's.
    async fn stamp_model(&self, signature: &ModelSignature) -> MemoryStoreResult<ModelSignature> {
        let mut transaction = self.transaction().await?;
        transaction.execute(NO_TIMEOUT).await.map_err(error::of)?;
        let inserted = sqlx::query!(
            "INSERT INTO embedding_model (name, dimension, hash, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            signature.name,
            dimension(signature.dimension),
            signature.hash,
            self.now(),
        )
        .execute(&mut transaction)
        .await
        .map_err(error::of)?;
        if inserted.rows_affected() == 1 {
            let stamp = format!(
                "ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector({})",
                signature.dimension
            );
            transaction.execute(AssertSqlSafe(stamp)).await.map_err(error::of)?;
            transaction.execute(indexes::BUILD_VECTOR_INDEXES).await.map_err(error::of)?;
        }
        let registered = read(&mut transaction).await?;
        transaction.commit().await.map_err(error::of)?;
        registered.ok_or(MemoryStoreError::ModelNotRegistered)
    }
}
