//! What share of the memories holds a common term: kept beside the memories, for large stores.

use sqlx::{AssertSqlSafe, Executor};
use vestige_traits::MemoryStoreResult;

use crate::error;
use crate::pool::NO_TIMEOUT;
use crate::store::PgMemoryStore;

/// A term in a smaller share of the memories is counted where it is asked for.
const COMMON_SHARE: f64 = 0.005;
/// The most memories that are read for the statistics; of more, a sample.
const SAMPLE: f64 = 300_000.0;
/// The advisory lock of the process that computes them.
const LOCK: i64 = 33_322_211_104_450_406;

impl PgMemoryStore {
    /// Computes the statistics anew where the store has grown or shrunk by half since. What goes wrong is logged:
    /// old statistics make searches slower or their ranking coarser, never wrong.
    pub(crate) async fn refresh_statistics_if_stale(&self) {
        if let Err(error) = self.try_refresh().await {
            tracing::warn!(%error, "the statistics of keyword ranking could not be refreshed");
        }
    }

    async fn try_refresh(&self) -> MemoryStoreResult<()> {
        let mut connection = self.connection().await?;
        let known = sqlx::query!(
            r#"SELECT
                 coalesce((SELECT sum(documents) FROM keyword_totals), 0)::float8 AS "documents!",
                 (SELECT documents FROM keyword_statistics_state)::float8 AS computed_for"#
        )
        .fetch_one(&mut connection)
        .await
        .map_err(error::of)?;
        drop(connection);
        let large = known.documents >= f64::from(self.search_settings().exact_words);
        let stale = known
            .computed_for
            .is_none_or(|then| known.documents > 1.5 * then || known.documents < 0.5 * then);
        if large && stale { self.refresh_statistics().await } else { Ok(()) }
    }

    /// Computes the statistics anew. Does nothing while another process does.
    pub(crate) async fn refresh_statistics(&self) -> MemoryStoreResult<()> {
        let mut transaction = self.transaction().await?;
        transaction.execute(NO_TIMEOUT).await.map_err(error::of)?;
        let ours = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "ours!""#, LOCK)
            .fetch_one(&mut transaction)
            .await
            .map_err(error::of)?;
        if !ours {
            return Ok(());
        }
        let documents = sqlx::query_scalar!(
            r#"SELECT coalesce(sum(documents), 0)::int8 AS "documents!" FROM keyword_totals"#
        )
        .fetch_one(&mut transaction)
        .await
        .map_err(error::of)?;
        let percent = (100.0 * SAMPLE / (documents as f64).max(1.0)).min(100.0);
        let sample = if percent < 100.0 {
            format!("knowledge_nodes TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)")
        } else {
            "knowledge_nodes".to_owned()
        };
        transaction.execute("DELETE FROM keyword_statistics").await.map_err(error::of)?;
        // ts_stat takes a statement as text; nothing in it comes from outside.
        let compute = format!(
            "INSERT INTO keyword_statistics (term, share)
             SELECT word, ndoc::float8 / counted.memories
             FROM (SELECT count(*)::float8 AS memories FROM {sample}) AS counted,
               ts_stat('SELECT search_vec FROM {sample}')
             WHERE ndoc >= counted.memories * {COMMON_SHARE}"
        );
        transaction.execute(AssertSqlSafe(compute)).await.map_err(error::of)?;
        sqlx::query!(
            "INSERT INTO keyword_statistics_state (documents, computed_at) VALUES ($1, $2)
             ON CONFLICT (id) DO UPDATE SET documents = excluded.documents, computed_at = excluded.computed_at",
            documents,
            self.now(),
        )
        .execute(&mut transaction)
        .await
        .map_err(error::of)?;
        transaction.commit().await.map_err(error::of)
    }
}
