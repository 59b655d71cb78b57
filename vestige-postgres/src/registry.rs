//! The model that the vectors belong to.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Executor};
use vestige_traits::backend::Models;
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature};

use crate::connection::Connections;
use crate::error;
use crate::indexes;
use crate::rows::ModelRow;
use crate::session::Session;

/// The model that a handle is bound to, or none. As parameters of a statement, none is null.
#[derive(Clone)]
pub(crate) struct BoundModel(Option<Arc<ModelSignature>>);

impl BoundModel {
    pub(crate) fn signature(&self) -> Option<&ModelSignature> {
        self.0.as_deref()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.signature().map(|model| model.name.as_str())
    }

    pub(crate) fn dimension(&self) -> Option<i32> {
        self.signature().map(|model| dimension(model.dimension))
    }

    pub(crate) fn hash(&self) -> Option<&str> {
        self.signature().map(|model| model.hash.as_str())
    }

    /// The models of a store with this registered model and of this handle.
    pub(crate) fn models<'m>(&'m self, registered: Option<&'m ModelSignature>) -> Models<'m> {
        Models { registered, bound: self.signature() }
    }

    /// The meaning of an error of a statement with a vector of this length.
    pub(crate) fn map_error(&self, error: sqlx::Error, vector: usize) -> MemoryStoreError {
        error::map_vector(error, self.signature(), vector)
    }
}

/// The model that a handle is bound to, shared by the clones of the handle.
#[derive(Clone, Default)]
pub(crate) struct Binding(Arc<Mutex<Option<Arc<ModelSignature>>>>);

impl Binding {
    pub(crate) fn get(&self) -> BoundModel {
        BoundModel(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(crate) fn set(&self, model: ModelSignature) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(model));
    }
}

/// A dimension as a parameter. Vectors are checked to be far shorter.
pub(crate) fn dimension(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

pub(crate) async fn registered_model(session: &mut Session) -> MemoryStoreResult<Option<ModelSignature>> {
    sqlx::query_as!(ModelRow, "SELECT name, dimension, hash FROM embedding_model")
        .fetch_optional(session)
        .await
        .map_err(error::map)?
        .map(ModelSignature::try_from)
        .transpose()
}

/// Registers a model where none is registered, or checks that it is the registered one.
pub(crate) async fn register_model(
    connections: &Connections,
    signature: &ModelSignature,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    let found = registered_model(&mut connections.reader().await?).await?;
    let registered = match found {
        Some(registered) => registered,
        None => insert_model(connections.long_transaction().await?, signature, now).await?,
    };
    if registered != *signature {
        return Err(MemoryStoreError::model_mismatch(&registered, signature));
    }
    Ok(())
}

/// Registers a model in a store that has none: the row, the dimension of the column, the vector index.
/// Returns the model that is registered then, which may be another process's.
async fn insert_model(
    mut transaction: Session,
    signature: &ModelSignature,
    now: DateTime<Utc>,
) -> MemoryStoreResult<ModelSignature> {
    let inserted = sqlx::query!(
        "INSERT INTO embedding_model (name, dimension, hash, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        signature.name,
        dimension(signature.dimension),
        signature.hash,
        now,
    )
    .execute(&mut transaction)
    .await
    .map_err(error::map)?;
    if inserted.rows_affected() == 1 {
        let column = format!(
            "ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector({})",
            signature.dimension
        );
        transaction.execute(AssertSqlSafe(column)).await.map_err(error::map)?;
        transaction.execute(indexes::BUILD_VECTOR_INDEXES).await.map_err(error::map)?;
    }
    let registered = registered_model(&mut transaction).await?;
    transaction.commit().await.map_err(error::map)?;
    registered.ok_or(MemoryStoreError::ModelNotRegistered)
}
