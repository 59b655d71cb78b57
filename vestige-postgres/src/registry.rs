//! The model that the vectors belong to.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::Executor;
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
    let found = sqlx::query!(
        r#"SELECT name, dimension, hash,
             (SELECT atttypmod < 1 FROM pg_attribute
              WHERE attrelid = 'knowledge_nodes'::regclass AND attname = 'embedding') AS "unfinished!"
           FROM embedding_model"#
    )
    .fetch_optional(&mut connections.reader().await?)
    .await
    .map_err(error::map)?;
    let (registered, unfinished) = match found {
        Some(found) => {
            let row = ModelRow { name: found.name, dimension: found.dimension, hash: found.hash };
            (row.try_into()?, found.unfinished)
        }
        None => (insert_model(connections.long_transaction().await?, signature, now).await?, false),
    };
    if registered != *signature {
        return Err(MemoryStoreError::model_mismatch(&registered, signature));
    }
    // The rows alone of a dump were restored, with the model's.
    if unfinished
        && !connections.is_read_only()
        && let Err(error) = indexes::build_vector_indexes(connections).await
    {
        tracing::warn!(%error, "the vector index could not be built, so searches by meaning are slow");
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
        indexes::give_dimension(&mut transaction).await.map_err(error::map)?;
        transaction.execute(indexes::BUILD_VECTOR_INDEXES).await.map_err(error::map)?;
    }
    let registered = registered_model(&mut transaction).await?;
    transaction.commit().await.map_err(error::map)?;
    registered.ok_or(MemoryStoreError::ModelNotRegistered)
}
