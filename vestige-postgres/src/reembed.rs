//! From one embedding model to another while the store is in use.
//!
//! New vectors are staged in `reembedding_vectors`. When every memory has one, `finish_reembedding` builds a
//! second table of the memories with the new vectors and all indexes beside the first, in one transaction
//! that blocks no other. The version of a memory is its `updated_at`, so the changes made meanwhile are the
//! difference of the two tables by (id, updated_at). The switch locks the store, applies that difference, and
//! replaces the first table by the second. It takes as long as comparing the keys.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::sleep;
use tracing::Instrument as _;
use uuid::Uuid;
use vestige_traits::backend::check_begun;
use vestige_traits::reembed::{PendingMemory, ReembeddedMemory, ReembeddingStatus};
use vestige_traits::{MemoryStoreError, MemoryStoreResult, ModelSignature, limits};

use crate::connection::Connections;
use crate::error;
use crate::indexes::{self, INDEXES};
use crate::limits::Limit;
use crate::registry::{self, Binding, dimension};
use crate::rows::{self, ModelRow};
use crate::session::Session;

/// How often the switch tries to get its locks, and the pause in between. Each attempt blocks other work for
/// at most half a second, the `lock_timeout` of `SWITCH`.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(100);
/// The most memories in which the two tables may differ when the store is locked. A larger difference is
/// applied before.
const MAX_DIFFERENCE_UNDER_LOCK: i64 = 500;

const NEXT_OWNER: &str = include_str!("sql/next_owner.sql");
const SWITCH: &str = "SET LOCAL lock_timeout = '500ms';
    LOCK TABLE knowledge_nodes, scheduling, edges, domains, embedding_model, reembedding, reembedding_vectors
    IN ACCESS EXCLUSIVE MODE";

pub(crate) async fn begin_reembedding(
    mut transaction: Session,
    model: &ModelSignature,
    now: DateTime<Utc>,
) -> MemoryStoreResult<ReembeddingStatus> {
    if registry::registered_model(&mut transaction).await?.as_ref() == Some(model) {
        return Err(MemoryStoreError::invalid("model", format!("is {model}, which the store is on already")));
    }
    let begun = sqlx::query!(
        "INSERT INTO reembedding (name, dimension, hash, started_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        model.name,
        dimension(model.dimension),
        model.hash,
        now,
    )
    .execute(&mut transaction)
    .await
    .map_err(error::map)?;
    if begun.rows_affected() == 1 {
        refuse_dependents(&mut transaction).await?;
        drop_staged(&mut transaction, Some(model.dimension)).await?;
    }
    let under_way = under_way(&mut transaction).await?.ok_or_else(none_under_way)?;
    if under_way != *model {
        return Err(MemoryStoreError::conflict(
            "re-embedding",
            format!("one to {under_way} is under way; finish or abort it"),
        ));
    }
    let status = status(&mut transaction, under_way).await?;
    transaction.commit().await.map_err(error::map)?;
    Ok(status)
}

pub(crate) async fn reembedding_status(
    snapshot: &mut Session,
) -> MemoryStoreResult<Option<ReembeddingStatus>> {
    match under_way(snapshot).await? {
        Some(model) => status(snapshot, model).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn reembedding_pending(
    mut transaction: Session,
    after: Option<Uuid>,
    limit: usize,
) -> MemoryStoreResult<Vec<PendingMemory>> {
    if under_way(&mut transaction).await?.is_none() {
        return Err(none_under_way());
    }
    let pending = sqlx::query_as!(
        PendingMemory,
        "SELECT n.id, n.content, n.updated_at
         FROM knowledge_nodes AS n
         WHERE ($1::uuid IS NULL OR n.id > $1)
           AND NOT EXISTS (
             SELECT FROM reembedding_vectors AS v WHERE v.memory_id = n.id AND v.updated_at = n.updated_at
           )
         ORDER BY n.id
         LIMIT $2",
        after,
        rows::parameter(limit),
    )
    .fetch_all(&mut transaction)
    .await
    .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)?;
    Ok(pending)
}

pub(crate) async fn write_reembedded(
    mut transaction: Session,
    vectors: &[ReembeddedMemory],
    begun: Option<&ModelSignature>,
) -> MemoryStoreResult<u64> {
    // The row is locked until the end, so that the re-embedding is neither finished nor aborted meanwhile.
    let model = sqlx::query_as!(ModelRow, "SELECT name, dimension, hash FROM reembedding FOR SHARE")
        .fetch_optional(&mut transaction)
        .await
        .map_err(error::map)?;
    let model = ModelSignature::try_from(model.ok_or_else(none_under_way)?)?;
    check_begun(&model, begun)?;
    let mut components = Vec::with_capacity(vectors.len() * model.dimension);
    let mut slots = Vec::with_capacity(vectors.len());
    for vector in vectors {
        let Some(embedding) = &vector.embedding else {
            slots.push(None);
            continue;
        };
        limits::check_embedding("embedding", embedding)?;
        if embedding.len() != model.dimension {
            return Err(MemoryStoreError::model_mismatch(&model, embedding.len()));
        }
        slots.push(Some(dimension(components.len() / model.dimension)));
        components.extend_from_slice(embedding);
    }
    // If a memory is given several vectors, the last one is staged, as if each were written by a call of its
    // own.
    let taken = sqlx::query_scalar!(
        r#"WITH given AS (
             SELECT given.*
             FROM unnest($1::uuid[], $2::timestamptz[], $3::int[]) WITH ORDINALITY
               AS given (id, updated_at, slot, place)
             JOIN knowledge_nodes AS n ON n.id = given.id AND n.updated_at = given.updated_at
           ),
           staged AS (
             INSERT INTO reembedding_vectors (memory_id, updated_at, embedding)
             SELECT DISTINCT ON (id)
               id, updated_at, ($4::real[])[slot * $5::int + 1 : (slot + 1) * $5::int]::vector
             FROM given
             ORDER BY id, place DESC
             ON CONFLICT (memory_id) DO UPDATE
               SET updated_at = excluded.updated_at, embedding = excluded.embedding
           )
           SELECT count(*) AS "taken!" FROM given"#,
        &vectors.iter().map(|vector| vector.id).collect::<Vec<_>>(),
        &vectors.iter().map(|vector| limits::to_micros(vector.updated_at)).collect::<Vec<_>>(),
        &slots as &[Option<i32>],
        &components,
        dimension(model.dimension),
    )
    .fetch_one(&mut transaction)
    .await
    .map_err(error::map)?;
    // If the second table is built already, it has an earlier state of this memory. That state may have the
    // same time, if the memory was deleted and added again.
    if indexes::next_is_built(&mut transaction).await? {
        sqlx::query("DELETE FROM knowledge_nodes_next WHERE id = ANY ($1)")
            .bind(vectors.iter().map(|vector| vector.id).collect::<Vec<_>>())
            .execute(&mut transaction)
            .await
            .map_err(error::map)?;
    }
    transaction.commit().await.map_err(error::map)?;
    Ok(rows::count(taken))
}

pub(crate) async fn finish_reembedding(
    connections: &Connections,
    begun: Option<&ModelSignature>,
    binding: &Binding,
) -> MemoryStoreResult<()> {
    connections.check_writable()?;
    prepare_switch(connections, begun).await?;
    for _ in 0..ATTEMPTS {
        match switch_in_task(connections, begun, binding).await {
            Ok(Switch::Done) => return tidy_up(connections).await,
            Ok(Switch::TooMuch) => catch_up(connections).await?,
            Ok(Switch::NotBuilt) => prepare_switch(connections, begun).await?,
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "the switch did not get its locks");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(MemoryStoreError::Unavailable {
        reason: "the store is too busy to be switched to the new model; try again, or end long transactions"
            .to_owned(),
        retryable: true,
        source: None,
    })
}

/// Builds the second table with its indexes, unless an earlier call has built it.
async fn prepare_switch(connections: &Connections, begun: Option<&ModelSignature>) -> MemoryStoreResult<()> {
    match build_next(connections, begun, false).await {
        Err(error) if indexes::is_shared_memory_shortage(&error) => {
            tracing::warn!(%error, "building indexes with one process: shared memory is short");
            build_next(connections, begun, true).await.map_err(error::map)?
        }
        built => built.map_err(error::map)?,
    }
}

async fn build_next(
    connections: &Connections,
    begun: Option<&ModelSignature>,
    one_process: bool,
) -> sqlx::Result<MemoryStoreResult<()>> {
    let mut transaction = connections.sessions().begin("BEGIN", Limit::None, "").await?;
    // One process builds; the others wait for it and find the table.
    let model = sqlx::query_as!(ModelRow, "SELECT name, dimension, hash FROM reembedding FOR UPDATE")
        .fetch_optional(&mut transaction)
        .await?;
    let Some(model) = model else { return Ok(Err(none_under_way())) };
    let model = match ModelSignature::try_from(model) {
        Ok(model) => model,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = check_begun(&model, begun) {
        return Ok(Err(error));
    }
    let is_built = match indexes::next_is_built(&mut transaction).await {
        Ok(is_built) => is_built,
        Err(error) => return Ok(Err(error)),
    };
    let state = sqlx::query!(
        r#"SELECT (SELECT count(embedding) FROM reembedding_vectors) AS "vectors!",
             (SELECT count(*) FROM knowledge_nodes AS n WHERE NOT EXISTS (
                SELECT FROM reembedding_vectors AS v WHERE v.memory_id = n.id AND v.updated_at = n.updated_at
              )) AS "pending!""#
    )
    .fetch_one(&mut transaction)
    .await?;
    if state.pending > 0 {
        return Ok(Err(still_pending(state.pending)));
    }
    if is_built {
        return Ok(Ok(()));
    }
    // A column that was added since the beginning would be created here too, without its values.
    if let Err(error) = refuse_dependents(&mut transaction).await {
        return Ok(Err(error));
    }
    indexes::give_memory(&mut transaction, rows::count(state.vectors), model.dimension).await?;
    if one_process {
        transaction.execute(indexes::ONE_PROCESS).await?;
    }
    let create = include_str!("sql/next_create.sql").replace(":dimension", &model.dimension.to_string());
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut transaction).await?;
    sqlx::raw_sql(NEXT_OWNER).execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Applies the difference between the two tables while the store is in use.
async fn catch_up(connections: &Connections) -> MemoryStoreResult<()> {
    let mut transaction = connections.long_transaction().await?;
    // A process that stages a vector meanwhile waits for this lock, and then deletes the memory from the
    // second table.
    transaction.execute("SELECT FROM reembedding FOR UPDATE").await.map_err(error::map)?;
    if !indexes::next_is_built(&mut transaction).await? {
        // The next attempt to switch finds the same, and builds it.
        return Ok(());
    }
    sqlx::raw_sql(include_str!("sql/next_catch_up.sql"))
        .execute(&mut transaction)
        .await
        .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)
}

/// Tries to switch, in a task of its own. If the caller's future is dropped meanwhile, the handle is still
/// bound to the model that the store is on.
async fn switch_in_task(
    connections: &Connections,
    begun: Option<&ModelSignature>,
    binding: &Binding,
) -> MemoryStoreResult<Switch> {
    let (connections, begun, binding) = (connections.clone(), begun.cloned(), binding.clone());
    let switch = async move { try_switch(&connections, begun.as_ref(), &binding).await };
    tokio::spawn(switch.in_current_span()).await.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(ended) => Err(MemoryStoreError::Unavailable {
            reason: "the runtime is shutting down".to_owned(),
            retryable: false,
            source: Some(Box::new(ended)),
        }),
    })
}

async fn try_switch(
    connections: &Connections,
    begun: Option<&ModelSignature>,
    binding: &Binding,
) -> MemoryStoreResult<Switch> {
    let mut transaction = connections.begin(SWITCH).await?;
    let model = under_way(&mut transaction).await?.ok_or_else(none_under_way)?;
    check_begun(&model, begun)?;
    if !indexes::next_is_built(&mut transaction).await? {
        return Ok(Switch::NotBuilt);
    }
    let difference: (i64, i64) = sqlx::query_as(include_str!("sql/next_difference.sql"))
        .fetch_one(&mut transaction)
        .await
        .map_err(error::map)?;
    let (pending, different) = difference;
    if pending > 0 {
        return Err(still_pending(pending));
    }
    if different > MAX_DIFFERENCE_UNDER_LOCK {
        return Ok(Switch::TooMuch);
    }
    // A dependent that was added since the beginning would be lost with the table.
    refuse_dependents(&mut transaction).await?;
    for statements in [include_str!("sql/next_catch_up.sql"), NEXT_OWNER, include_str!("sql/next_switch.sql")]
    {
        sqlx::raw_sql(statements).execute(&mut transaction).await.map_err(error::map)?;
    }
    drop_staged(&mut transaction, None).await?;
    transaction.commit().await.map_err(error::map)?;
    binding.set(model);
    Ok(Switch::Done)
}

/// The work that can wait until after the switch. `diagnose` reports what of it is missing.
async fn tidy_up(connections: &Connections) -> MemoryStoreResult<()> {
    for statement in [
        "ALTER TABLE scheduling VALIDATE CONSTRAINT scheduling_memory_id_fkey",
        "ALTER TABLE edges VALIDATE CONSTRAINT edges_source_id_fkey",
        "ALTER TABLE edges VALIDATE CONSTRAINT edges_target_id_fkey",
        "ANALYZE knowledge_nodes",
    ] {
        if let Err(error) = connections.execute_untimed(statement).await {
            tracing::warn!(%error, statement, "left for later after the switch to the new model");
        }
    }
    Ok(())
}

pub(crate) async fn abort_reembedding(mut transaction: Session) -> MemoryStoreResult<()> {
    let aborted =
        sqlx::query!("DELETE FROM reembedding").execute(&mut transaction).await.map_err(error::map)?;
    if aborted.rows_affected() > 0 {
        drop_staged(&mut transaction, None).await?;
    }
    transaction.commit().await.map_err(error::map)
}

enum Switch {
    Done,
    /// The two tables differ by more than is applied under the locks.
    TooMuch,
    /// A migration that changed terms has dropped the second table, which had the old ones.
    NotBuilt,
}

/// The model that a re-embedding under way goes to.
async fn under_way(connection: &mut Session) -> MemoryStoreResult<Option<ModelSignature>> {
    sqlx::query_as!(ModelRow, "SELECT name, dimension, hash FROM reembedding")
        .fetch_optional(connection)
        .await
        .map_err(error::map)?
        .map(ModelSignature::try_from)
        .transpose()
}

async fn status(connection: &mut Session, model: ModelSignature) -> MemoryStoreResult<ReembeddingStatus> {
    let counted = sqlx::query!(
        r#"SELECT count(*) AS "memories!", count(v.memory_id) AS "done!"
           FROM knowledge_nodes AS n
           LEFT JOIN reembedding_vectors AS v ON v.memory_id = n.id AND v.updated_at = n.updated_at"#
    )
    .fetch_one(connection)
    .await
    .map_err(error::map)?;
    Ok(ReembeddingStatus {
        model,
        done: rows::count(counted.done),
        pending: rows::count(counted.memories - counted.done),
    })
}

/// Drops the second table and the staged vectors, and gives the staging table vectors of another dimension.
async fn drop_staged(transaction: &mut Session, dimension: Option<usize>) -> MemoryStoreResult<()> {
    let vector = dimension.map_or_else(|| "vector".to_owned(), |dimension| format!("vector({dimension})"));
    let statements = format!(
        "DROP TABLE IF EXISTS knowledge_nodes_next;
         TRUNCATE reembedding_vectors;
         ALTER TABLE reembedding_vectors ALTER COLUMN embedding TYPE {vector}"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *transaction).await.map_err(error::map)?;
    Ok(())
}

/// Refuses a re-embedding that would lose something: an object of another program depends on the table that
/// the switch replaces.
async fn refuse_dependents(transaction: &mut Session) -> MemoryStoreResult<()> {
    let dependents: Vec<String> = sqlx::query_scalar(include_str!("sql/dependents.sql"))
        .bind(INDEXES)
        .fetch_all(&mut *transaction)
        .await
        .map_err(error::map)?;
    if dependents.is_empty() {
        return Ok(());
    }
    Err(MemoryStoreError::conflict(
        "re-embedding",
        format!(
            "it puts a new table in the place of knowledge_nodes, and these would be lost: {}; drop or reset them \
             first, and put them back afterwards",
            dependents.join(", ")
        ),
    ))
}

fn none_under_way() -> MemoryStoreError {
    MemoryStoreError::conflict("re-embedding", "none is under way; begin one first")
}

fn still_pending(pending: i64) -> MemoryStoreError {
    MemoryStoreError::conflict("re-embedding", format!("{pending} memories have no new vector yet"))
}
