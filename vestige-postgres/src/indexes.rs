//! Building and repairing indexes, and loading without them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::sleep;
use vestige_traits::MemoryStoreResult;

use crate::connection::Connections;
use crate::error;
use crate::keyword;
use crate::limits::Limit;
use crate::rows;
use crate::session::Session;

pub(crate) const VECTOR_INDEX: &str = "idx_knowledge_nodes_embedding_hnsw";
pub(crate) const CODEBASE_VECTORS: &str = "idx_knowledge_nodes_codebase_embedding";
/// The indexes of the schema. Of indexes that belong to constraints, only the one of the memories is listed.
/// A re-embedding takes any other index on the memories for another program's.
pub(crate) const INDEXES: [&str; 19] = [
    "idx_edges_target",
    "idx_edges_type",
    "idx_group_memberships_group",
    "idx_keyword_passages_search_vec",
    "idx_knowledge_nodes_codebase",
    CODEBASE_VECTORS,
    "idx_knowledge_nodes_created_at",
    "idx_knowledge_nodes_domains",
    VECTOR_INDEX,
    "idx_knowledge_nodes_node_type",
    "idx_knowledge_nodes_owner",
    "idx_knowledge_nodes_search_vec",
    "idx_knowledge_nodes_session",
    "idx_knowledge_nodes_shared_groups",
    "idx_knowledge_nodes_tags",
    "idx_knowledge_nodes_updated_at",
    "idx_review_events_memory",
    "idx_scheduling_next_review",
    "knowledge_nodes_pkey",
];
/// Builds the indexes with vectors that are missing: HNSW, and the vectors of each code base.
pub(crate) const BUILD_VECTOR_INDEXES: &str = "SELECT vestige_build_hnsw(), \
    vestige_index_codebase_vectors('knowledge_nodes', 'idx_knowledge_nodes_codebase_embedding')";
/// The memory that a vector takes beside its components while the graph is built: its neighbours and their
/// bookkeeping.
const BYTES_PER_ELEMENT: u64 = 1200;
/// The most memory that a build is given beyond what the server gives it.
const MAX_BUILD_MEMORY: u64 = 1 << 30;
/// The advisory lock of the process that builds indexes. Without it a second process would fail instead of
/// finding them built.
const BUILD_LOCK: i64 = 33_322_211_104_450_408;
/// How often dropping the indexes with vectors is tried, and the pause in between.
const DROP_ATTEMPTS: u32 = 10;
const DROP_PAUSE: Duration = Duration::from_millis(100);
/// Lets an index build use no parallel workers.
pub(crate) const ONE_PROCESS: &str = "SET LOCAL max_parallel_maintenance_workers = 0";

/// Gives an index build of this transaction the memory that the graph of `vectors` needs, up to
/// [`MAX_BUILD_MEMORY`]. A graph that does not fit is built on disk, many times slower.
pub(crate) async fn give_memory(
    transaction: &mut Session,
    vectors: u64,
    dimension: usize,
) -> sqlx::Result<()> {
    let needed = vectors.saturating_mul(4 * dimension as u64 + BYTES_PER_ELEMENT);
    let kilobytes = rows::big(needed.min(MAX_BUILD_MEMORY) / 1024 + 1024);
    sqlx::query!(
        "SELECT set_config('maintenance_work_mem', greatest(setting::int8, $1)::text || 'kB', true)
         FROM pg_settings WHERE name = 'maintenance_work_mem'",
        kilobytes,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(())
}

/// Whether a parallel build failed because shared memory is too small, as the usual 64 MB of /dev/shm in a
/// container.
pub(crate) fn is_shared_memory_shortage(error: &sqlx::Error) -> bool {
    matches!(error::code(error).as_deref(), Some("53100" | "53200"))
}

/// Drops the indexes with vectors until [`finish_bulk_load`].
///
/// Inserting a vector into the HNSW index takes a hundred times as long as the rest of its row; building the
/// index at once does not. Building the other index with vectors at once is faster too.
///
/// Every later statement on the table waits while this one waits for its lock. So it waits for short times
/// only, and gives up after [`DROP_ATTEMPTS`]. A role that does not own the indexes leaves them.
pub(crate) async fn begin_bulk_load(connections: &Connections) -> MemoryStoreResult<()> {
    connections.check_writable()?;
    let mut attempts = DROP_ATTEMPTS;
    loop {
        match drop_vector_indexes(connections).await {
            Err(error) if error.is_retryable() && attempts > 1 => {
                attempts -= 1;
                tracing::debug!(%error, "the vector index could not be taken down yet");
                sleep(DROP_PAUSE).await;
            }
            dropped => return dropped,
        }
    }
}

async fn drop_vector_indexes(connections: &Connections) -> MemoryStoreResult<()> {
    const BRIEFLY: &str = "SET LOCAL lock_timeout = '500ms'";
    const DROP: &str =
        "DROP INDEX IF EXISTS idx_knowledge_nodes_embedding_hnsw, idx_knowledge_nodes_codebase_embedding";
    let mut transaction = connections.begin(BRIEFLY).await?;
    match transaction.execute(DROP).await {
        Ok(_) => transaction.commit().await.map_err(error::map),
        Err(error) if error::is_refusal(&error) => {
            tracing::info!("the role does not own the indexes: they stay, and are filled row by row");
            Ok(())
        }
        Err(error) => Err(error::map(error)),
    }
}

/// Whether the second table of a re-embedding is there. One that another role has put there is none: its
/// triggers would run as this role. A superuser, or a role with the rights of the owner of the first table,
/// needs no second table for that.
pub(crate) async fn next_is_built(transaction: &mut Session) -> MemoryStoreResult<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (
           SELECT FROM pg_catalog.pg_class AS next
           JOIN pg_catalog.pg_class AS present ON present.oid = 'knowledge_nodes'::regclass
           JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user
           WHERE next.oid = pg_catalog.to_regclass('knowledge_nodes_next')
             AND (next.relowner = me.oid OR pg_catalog.pg_has_role(next.relowner, present.relowner, 'USAGE'))
         )",
    )
    .fetch_one(transaction)
    .await
    .map_err(error::map)
}

/// Builds the indexes with vectors if they are missing or an interrupted build left them invalid, and renews
/// what the planner and keyword ranking know of the rows.
pub(crate) async fn finish_bulk_load(connections: &Connections, now: DateTime<Utc>) -> MemoryStoreResult<()> {
    build_vector_indexes(connections).await?;
    connections.execute_untimed("ANALYZE knowledge_nodes, keyword_passages, scheduling, edges").await?;
    keyword::refresh_statistics(connections, now).await
}

/// Builds the indexes with vectors if they are missing or an interrupted build left them invalid.
pub(crate) async fn build_vector_indexes(connections: &Connections) -> MemoryStoreResult<()> {
    connections.check_writable()?;
    build(connections, BUILD_VECTOR_INDEXES).await
}

/// Builds every index and every count of the memories anew.
pub(crate) async fn rebuild_indexes(connections: &Connections, now: DateTime<Utc>) -> MemoryStoreResult<()> {
    connections.check_writable()?;
    // Writers wait, because they change what is counted. A process that folded counts meanwhile would restore
    // what is deleted here, so the second lock makes it wait.
    const REBUILD: &str = "
        LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE;
        REINDEX TABLE knowledge_nodes;
        REINDEX TABLE keyword_passages;
        SELECT vestige_build_hnsw();
        LOCK TABLE keyword_totals IN SHARE ROW EXCLUSIVE MODE;
        DELETE FROM keyword_passages AS p
        WHERE NOT EXISTS (SELECT FROM knowledge_nodes AS n WHERE n.id = p.memory_id AND p.number <= n.passages);
        SELECT vestige_recount_documents()";
    build(connections, REBUILD).await?;
    finish_bulk_load(connections, now).await
}

/// Gives the column of the vectors the dimension of the registered model where it has none. It has none until
/// a model is registered, and after the rows alone of a dump were restored.
pub(crate) async fn give_dimension(transaction: &mut Session) -> sqlx::Result<()> {
    let dimension = sqlx::query_scalar!(
        r#"SELECT m.dimension
           FROM embedding_model AS m
           JOIN pg_attribute AS a ON a.attrelid = 'knowledge_nodes'::regclass AND a.attname = 'embedding'
           WHERE a.atttypmod < 1"#
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(dimension) = dimension {
        let column = format!("ALTER TABLE knowledge_nodes ALTER COLUMN embedding TYPE vector({dimension})");
        transaction.execute(AssertSqlSafe(column)).await?;
    }
    Ok(())
}

/// Runs statements that build indexes; in one process if shared memory is too small for several.
async fn build(connections: &Connections, statements: &'static str) -> MemoryStoreResult<()> {
    let built = match try_build(connections, statements, false).await {
        Err(error) if is_shared_memory_shortage(&error) => {
            tracing::warn!(%error, "building indexes with one process: shared memory is short");
            try_build(connections, statements, true).await
        }
        built => built,
    };
    built.map_err(error::map)
}

async fn try_build(
    connections: &Connections,
    statements: &'static str,
    one_process: bool,
) -> sqlx::Result<()> {
    let mut transaction = connections.sessions().begin("BEGIN", Limit::None, "").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(BUILD_LOCK).execute(&mut transaction).await?;
    let embedded = sqlx::query!(
        r#"SELECT
             (SELECT count(embedding) FROM knowledge_nodes) AS "vectors!",
             coalesce((SELECT dimension FROM embedding_model), 0) AS "dimension!""#
    )
    .fetch_one(&mut transaction)
    .await?;
    give_dimension(&mut transaction).await?;
    let dimension = usize::try_from(embedded.dimension).unwrap_or(0);
    give_memory(&mut transaction, rows::count(embedded.vectors), dimension).await?;
    if one_process {
        transaction.execute(ONE_PROCESS).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut transaction).await?;
    transaction.commit().await
}
