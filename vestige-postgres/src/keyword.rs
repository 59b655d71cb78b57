//! The numbers that keyword ranking needs and that are stored beside the memories: how many documents and
//! terms there are, and which share of the documents of a large store holds a common term. A document is a
//! memory, or a passage of a long one.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Executor};
use vestige_traits::{MemoryRecord, MemoryStoreResult};

use crate::connection::Connections;
use crate::error;

/// A term with a smaller share of the documents is counted by the search that asks for it.
const COMMON_SHARE: f64 = 0.005;
/// The most documents that are read for the statistics. Of a larger store a sample is read.
const SAMPLE: f64 = 300_000.0;
/// The advisory lock of the process that computes the statistics.
const STATISTICS_LOCK: i64 = 33_322_211_104_450_406;
/// One inserted memory in this many checks whether the numbers are to be renewed.
const CHECK_EVERY: u128 = 1000;
/// The number of rows with counts above which they are folded into one.
const FOLD_ABOVE: i64 = 1000;
/// The advisory lock of the process that folds counts.
const FOLD_LOCK: i64 = 33_322_211_104_450_407;

/// Whether the insertion of this memory is one in [`CHECK_EVERY`]. The random end of the id decides: a
/// counter in the handle would never get that far in programs that write once and end.
pub(crate) fn is_check_due(record: &MemoryRecord) -> bool {
    record.id.as_u128().is_multiple_of(CHECK_EVERY)
}

/// Computes the statistics again if the store has `large` documents or more, and has grown or shrunk by half
/// since the last time. An error is logged: old statistics make searches slower or their ranking coarser,
/// never wrong.
pub(crate) async fn refresh_statistics_if_stale(connections: &Connections, large: u32, now: DateTime<Utc>) {
    if let Err(error) = try_refresh_if_stale(connections, large, now).await {
        tracing::warn!(%error, "the statistics of keyword ranking could not be refreshed");
    }
}

async fn try_refresh_if_stale(
    connections: &Connections,
    large: u32,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    let mut session = connections.reader().await?;
    let known = sqlx::query!(
        r#"SELECT
             coalesce((SELECT sum(documents) FROM keyword_totals), 0)::float8 AS "documents!",
             (SELECT documents FROM keyword_statistics_state)::float8 AS computed_for"#
    )
    .fetch_one(&mut session)
    .await
    .map_err(error::map)?;
    drop(session);
    let stale =
        known.computed_for.is_none_or(|then| known.documents > 1.5 * then || known.documents < 0.5 * then);
    if stale && known.documents >= f64::from(large) {
        refresh_statistics(connections, now).await
    } else {
        Ok(())
    }
}

/// Computes the statistics again. Does nothing while another process computes them.
pub(crate) async fn refresh_statistics(
    connections: &Connections,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    let mut transaction = connections.long_transaction().await?;
    let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "locked!""#, STATISTICS_LOCK)
        .fetch_one(&mut transaction)
        .await
        .map_err(error::map)?;
    if !locked {
        return Ok(());
    }
    let documents = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(documents), 0)::int8 AS "documents!" FROM keyword_totals"#
    )
    .fetch_one(&mut transaction)
    .await
    .map_err(error::map)?;
    let percent = (100.0 * SAMPLE / (documents as f64).max(1.0)).min(100.0);
    let share = match percent < 100.0 {
        true => format!(" TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"),
        false => String::new(),
    };
    let sample = format!(
        "SELECT search_vec FROM knowledge_nodes{share} UNION ALL SELECT search_vec FROM keyword_passages{share}"
    );
    transaction.execute("DELETE FROM keyword_statistics").await.map_err(error::map)?;
    // ts_stat takes a statement as text; nothing in it comes from outside.
    let compute = format!(
        "INSERT INTO keyword_statistics (term, share)
         SELECT word, ndoc::float8 / counted.documents
         FROM (SELECT count(*)::float8 AS documents FROM ({sample}) AS sample) AS counted, ts_stat('{sample}')
         WHERE ndoc >= counted.documents * {COMMON_SHARE}"
    );
    transaction.execute(AssertSqlSafe(compute)).await.map_err(error::map)?;
    sqlx::query!(
        "INSERT INTO keyword_statistics_state (documents, computed_at) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET documents = excluded.documents, computed_at = excluded.computed_at",
        documents,
        now,
    )
    .execute(&mut transaction)
    .await
    .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)
}

/// Folds the counts if they have more rows than [`FOLD_ABOVE`], which every search has to add up. An error is
/// logged: the sums stay right.
pub(crate) async fn fold_counts_if_many(connections: &Connections) {
    let folded = async {
        let mut session = connections.reader().await?;
        let many: bool = sqlx::query_scalar("SELECT count(*) > $1 FROM keyword_totals")
            .bind(FOLD_ABOVE)
            .fetch_one(&mut session)
            .await
            .map_err(error::map)?;
        drop(session);
        if many { fold_counts(connections).await } else { Ok(()) }
    };
    if let Err(error) = folded.await {
        tracing::warn!(%error, "the counts of keyword ranking could not be folded");
    }
}

/// Folds the counts of other server processes into one row. Does nothing while another process does so: each
/// would wait for the other's own row.
pub(crate) async fn fold_counts(connections: &Connections) -> MemoryStoreResult<()> {
    let mut transaction = connections.batch().await?;
    let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(FOLD_LOCK)
        .fetch_one(&mut transaction)
        .await
        .map_err(error::map)?;
    if !locked {
        return Ok(());
    }
    // A row that a writer holds is left for the next time: that writer may be waiting for this transaction.
    sqlx::query!(
        "WITH folded AS (
           DELETE FROM keyword_totals
           WHERE backend IN (
             SELECT backend FROM keyword_totals WHERE backend <> pg_backend_pid() FOR UPDATE SKIP LOCKED
           )
           RETURNING documents, terms, passages
         )
         SELECT vestige_count_documents(
           coalesce(sum(documents), 0)::bigint, coalesce(sum(terms), 0)::bigint, coalesce(sum(passages), 0)::bigint
         )
         FROM folded"
    )
    .fetch_one(&mut transaction)
    .await
    .map_err(error::map)?;
    transaction.commit().await.map_err(error::map)
}
