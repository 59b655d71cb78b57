//! Building and mending indexes.

use sqlx::{AssertSqlSafe, Executor};
use vestige_traits::MemoryStoreResult;

use crate::error;
use crate::pool::NO_TIMEOUT;
use crate::rows;
use crate::session::Session;
use crate::store::PgMemoryStore;

pub(crate) const VECTOR_INDEX: &str = "idx_knowledge_nodes_embedding_hnsw";
pub(crate) const CODEBASE_VECTORS: &str = "idx_knowledge_nodes_codebase_embedding";
/// The indexes of the schema: of those behind constraints, the memories' alone. A re-embedding takes any other index on
/// the memories for somebody else's.
pub(crate) const INDEXES: [&str; 17] = [
    "idx_edges_target",
    "idx_edges_type",
    "idx_group_memberships_group",
    "idx_knowledge_nodes_codebase",
    CODEBASE_VECTORS,
    "idx_knowledge_nodes_created_at",
    "idx_knowledge_nodes_domains",
    VECTOR_INDEX,
    "idx_knowledge_nodes_node_type",
    "idx_knowledge_nodes_owner",
    "idx_knowledge_nodes_search_vec",
    "idx_knowledge_nodes_shared_groups",
    "idx_knowledge_nodes_tags",
    "idx_knowledge_nodes_updated_at",
    "idx_review_events_memory",
    "idx_scheduling_next_review",
    "knowledge_nodes_pkey",
];
/// Builds what speeds the comparison of vectors up and is not there: HNSW, and the vectors of each code base.
pub(crate) const BUILD_VECTOR_INDEXES: &str = "SELECT vestige_build_hnsw(), \
    vestige_index_codebase_vectors('knowledge_nodes', 'idx_knowledge_nodes_codebase_embedding')";
/// What a vector takes while its graph is built in memory, beside its components: neighbours and their keeping.
const BYTES_PER_ELEMENT: u64 = 1200;
/// The most memory that a build is given beyond what the server gives it.
const MAX_BUILD_MEMORY: u64 = 1 << 30;
/// How many server processes may have counted for themselves before their counts are folded.
const MANY_COUNTS: i64 = 1000;
/// The advisory lock of the process that folds them.
const FOLD_LOCK: i64 = 33_322_211_104_450_407;
/// The advisory lock of the process that builds indexes: a second one would fail where it should find them built.
const BUILD_LOCK: i64 = 33_322_211_104_450_408;

/// Gives an index build of this transaction as much memory as the graph of `vectors` needs, within reason: one that
/// does not fit is built on disk, many times slower.
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

/// Whether a parallel build failed for want of shared memory, as in a container with the usual 64 MB of /dev/shm.
pub(crate) fn wants_shared_memory(error: &sqlx::Error) -> bool {
    matches!(error::code(error).as_deref(), Some("53100" | "53200"))
}

impl PgMemoryStore {
    /// Builds the indexes with vectors if they are missing or an interrupted build left them invalid.
    pub(crate) async fn build_vector_index(&self) -> MemoryStoreResult<()> {
        self.check_writable()?;
        match self.try_build(BUILD_VECTOR_INDEXES, false).await {
            Err(error) if wants_shared_memory(&error) => {
                tracing::warn!(%error, "building the vector index with one process: shared memory is short");
                self.try_build(BUILD_VECTOR_INDEXES, true).await.map_err(error::of)
            }
            built => built.map_err(error::of),
        }
    }

    /// Makes everything anew that is derived from the rows.
    pub(crate) async fn rebuild(&self) -> MemoryStoreResult<()> {
        self.check_writable()?;
        // Whoever folds counts meanwhile would bring back what is deleted here, so that waits. Setting the expression again
        // computes the column anew, and rewriting the table builds every index anew.
        const REBUILD: &str = "
            ALTER TABLE knowledge_nodes
              ALTER COLUMN search_vec SET EXPRESSION AS (vestige_search_vec(content, node_type, tags));
            SELECT vestige_build_hnsw();
            LOCK TABLE keyword_totals IN SHARE ROW EXCLUSIVE MODE;
            DELETE FROM keyword_totals;
            SELECT vestige_count_documents(count(*), coalesce(sum(vestige_length(search_vec)), 0)::bigint)
            FROM knowledge_nodes";
        match self.try_build(REBUILD, false).await {
            Err(error) if wants_shared_memory(&error) => {
                tracing::warn!(%error, "building indexes with one process: shared memory is short");
                self.try_build(REBUILD, true).await.map_err(error::of)?;
            }
            built => built.map_err(error::of)?,
        }
        self.restore_indexes().await
    }

    async fn try_build(&self, statements: &'static str, alone: bool) -> sqlx::Result<()> {
        let mut transaction = self.sessions().begin("BEGIN", NO_TIMEOUT).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(BUILD_LOCK).execute(&mut transaction).await?;
        let embedded = sqlx::query!(
            r#"SELECT
                 (SELECT count(embedding) FROM knowledge_nodes) AS "vectors!",
                 coalesce((SELECT dimension FROM embedding_model), 0) AS "dimension!""#
        )
        .fetch_one(&mut transaction)
        .await?;
        let dimension = usize::try_from(embedded.dimension).unwrap_or(0);
        give_memory(&mut transaction, rows::count(embedded.vectors), dimension).await?;
        if alone {
            transaction.execute("SET LOCAL max_parallel_maintenance_workers = 0").await?;
        }
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut transaction).await?;
        transaction.commit().await
    }

    /// Gives space back, refreshes the planner's statistics and those of keyword ranking, and folds the counts of
    /// server processes that are gone.
    pub(crate) async fn vacuum_tables(&self) -> MemoryStoreResult<()> {
        self.run_alone(
            "VACUUM (ANALYZE) knowledge_nodes, scheduling, edges, review_events, domains, users, groups,
               group_memberships, keyword_totals, keyword_statistics, checkpoints, reembedding_vectors",
        )
        .await?;
        self.fold_counts().await?;
        self.refresh_statistics().await
    }

    /// Folds the counts where there are so many that adding them up takes part of every search. What goes wrong is
    /// logged: the sums stay right.
    pub(crate) async fn fold_counts_if_many(&self) {
        let folded = async {
            let mut connection = self.connection().await?;
            let many: bool = sqlx::query_scalar("SELECT count(*) > $1 FROM keyword_totals")
                .bind(MANY_COUNTS)
                .fetch_one(&mut connection)
                .await
                .map_err(error::of)?;
            drop(connection);
            if many { self.fold_counts().await } else { Ok(()) }
        };
        if let Err(error) = folded.await {
            tracing::warn!(%error, "the counts of keyword ranking could not be folded");
        }
    }

    /// Folds the counts of other server processes into one. Does nothing while another process does: each would wait
    /// for the other's own row.
    async fn fold_counts(&self) -> MemoryStoreResult<()> {
        let mut transaction = self.transaction().await?;
        let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(FOLD_LOCK)
            .fetch_one(&mut transaction)
            .await
            .map_err(error::of)?;
        if !ours {
            return Ok(());
        }
        // Rows that a writer holds are left for the next time: waiting for it while it waits for us helps nobody.
        sqlx::query!(
            "WITH folded AS (
               DELETE FROM keyword_totals
               WHERE backend IN (
                 SELECT backend FROM keyword_totals WHERE backend <> pg_backend_pid() FOR UPDATE SKIP LOCKED
               )
               RETURNING documents, terms
             )
             SELECT vestige_count_documents(coalesce(sum(documents), 0)::bigint, coalesce(sum(terms), 0)::bigint)
             FROM folded"
        )
        .fetch_one(&mut transaction)
        .await
        .map_err(error::of)?;
        transaction.commit().await.map_err(error::of)
    }
}
