//! Which analysis the terms of a store are from, and terms that have to be made anew.
//!
//! The client computes the terms of memories, and the server stores them. The table `keyword_analysis` holds
//! the fingerprint of the analysis, and a version that counts its changes. A statement that writes or looks
//! for terms names the version that it means, and fails if the store has another one. `unanalyzed_memories`
//! is the queue of memories whose terms are missing or of another analysis.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Executor, Row};
use tokio::time::sleep;
use uuid::Uuid;
use vestige_traits::analysis::Analyzer;
use vestige_traits::backend::Prepared;
use vestige_traits::{MemoryRecord, MemoryStoreError, MemoryStoreResult};

use crate::connection::Connections;
use crate::error;
use crate::indexes;
use crate::keyword;
use crate::passages::{self, Passages};
use crate::rows;
use crate::session::Session;
use crate::tsvector::{MemoryTerms, TsVector};

/// What the analysis of this program is known by.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| Analyzer::default().fingerprint());
/// The version of this program.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// How many memories are analysed in one transaction.
const BATCH: i64 = 100;
/// How many bytes of contents are analysed at once, one content at least.
const MAX_BYTES: i64 = 8 << 20;
/// After how many memories other tasks get a turn.
pub(crate) const TURN: usize = 64;
/// How often a batch is tried that met a deadlock or a lock that somebody holds.
const ATTEMPTS: u32 = 20;
/// The pause before the queue is looked at again whose rest other processes have taken.
const PAUSE: Duration = Duration::from_millis(50);
/// How many memories are analysed before it is decided whether the indexes with vectors are taken down.
const SAMPLE: u64 = 2 * BATCH as u64;
/// The indexes with vectors stay if fewer rows than this are to be written. 1,000 vectors enter HNSW in some
/// three seconds.
const MANY: u64 = 1000;
/// They stay, too, if the rows to be written are a smaller share of all vectors than one of this number. A
/// vector enters HNSW in about the time in which a build of the index takes this many.
const BUILT_MEANWHILE: u64 = 4;
/// How long a batch may wait for a lock if the store can be used without it.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '2s'";

/// The version of the analysis that a handle uses, shared by the clones of the handle.
#[derive(Clone, Default)]
pub(crate) struct AnalysisVersion(Arc<AtomicI64>);

impl AnalysisVersion {
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, version: i64) {
        self.0.store(version, Ordering::Relaxed);
    }
}

/// The row of `keyword_analysis`, and whether the queue has a memory.
struct State {
    version: i64,
    fingerprint: String,
    program: String,
    complete: bool,
    queued: bool,
}

impl State {
    /// Every opening of a store asks this, so it is one round trip: nothing is prepared.
    async fn read(session: &mut Session) -> MemoryStoreResult<Self> {
        const STATE: &str = "SELECT version, fingerprint, program, complete,
              EXISTS (SELECT FROM unanalyzed_memories)
            FROM keyword_analysis";
        let row = sqlx::raw_sql(STATE).fetch_optional(session).await.map_err(error::map)?;
        let row = row
            .ok_or_else(|| error::damaged("the database", "keyword_analysis has no row; restore a backup"))?;
        let read = || {
            Ok(Self {
                version: row.try_get(0)?,
                fingerprint: row.try_get(1)?,
                program: row.try_get(2)?,
                complete: row.try_get(3)?,
                queued: row.try_get(4)?,
            })
        };
        read().map_err(error::map)
    }

    /// Whether the terms are of the analysis of this program.
    fn is_ours(&self) -> bool {
        self.fingerprint == *FINGERPRINT
    }
}

/// The terms of records, in their order. Made before a transaction begins, because it takes time.
pub(crate) async fn terms(records: &[Prepared<'_, MemoryRecord>]) -> Vec<MemoryTerms> {
    let mut terms = Vec::with_capacity(records.len());
    for turn in records.chunks(TURN) {
        if !terms.is_empty() {
            tokio::task::yield_now().await;
        }
        let analyzer = Analyzer::default();
        terms.extend(turn.iter().map(|record| MemoryTerms::of_record(&analyzer, record)));
    }
    terms
}

/// Fails if the terms of the store are not of this version of the analysis. To be called with a lock of
/// `knowledge_nodes`, under which no other analysis can come.
pub(crate) async fn check(transaction: &mut Session, version: i64) -> sqlx::Result<()> {
    sqlx::query_scalar!(r#"SELECT vestige_analysis_is($1) AS "is!""#, version)
        .fetch_one(transaction)
        .await
        .map(drop)
}

/// Checks that a store that is only read has the terms of this program's analysis.
pub(crate) async fn check_readable(
    connections: &Connections,
    version: &AnalysisVersion,
) -> MemoryStoreResult<()> {
    let state = State::read(&mut connections.reader().await?).await?;
    if !state.is_ours() {
        refuse_newer(&state)?;
        return Err(error::damaged(
            "the database",
            "another version of Vestige analysed its words; open it for writing once to analyse them anew",
        ));
    }
    // An empty queue: every memory is analysed, and an index is missing.
    if !state.complete && state.queued {
        return Err(MemoryStoreError::Unavailable {
            reason: "its words are being analysed anew; try again when that is done".to_owned(),
            retryable: true,
            source: None,
        });
    }
    version.set(state.version);
    Ok(())
}

/// Makes the analysis of this program that of the store, and works off the queue. While that has not been
/// done once for every memory, no handle opens, and handles of another analysis refuse to search and to
/// write. So no search misses a memory whose terms are still to come.
///
/// If the process dies, the next one that opens the store goes on. Several share the work. If an index that
/// was taken down for the work cannot be built, the store opens, and the next opening tries to build it.
pub(crate) async fn bring_up_to_date(
    connections: &Connections,
    version: &AnalysisVersion,
    large: u32,
    now: DateTime<Utc>,
) -> MemoryStoreResult<()> {
    let mut state = State::read(&mut connections.reader().await?).await?;
    if !state.is_ours() {
        state = change(connections).await?;
    }
    version.set(state.version);
    if !state.complete {
        if state.queued {
            work_off(connections, state.version, Some(Work::count(connections).await?)).await?;
        }
        // Before the work is complete: if the process dies here or cannot build them, the next one does.
        match indexes::build_vector_indexes(connections).await {
            Ok(()) => complete(connections, state.version).await?,
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the vector index could not be built, so searches by meaning are slow");
            }
        }
        keyword::refresh_statistics_if_stale(connections, large, now).await;
    } else if state.queued
        && let Err(error) = pass(connections, state.version, BRIEFLY, &mut None).await
    {
        tracing::warn!(%error, "memories that others wrote without terms are not found by words yet");
    }
    Ok(())
}

/// Analyses every memory of the store anew, with its indexes in place: if the process dies, nobody would
/// know that one is missing.
pub(crate) async fn analyze_all(connections: &Connections, version: i64) -> MemoryStoreResult<()> {
    let mut transaction = connections.long_transaction().await?;
    queue_all(&mut transaction).await?;
    transaction.commit().await.map_err(error::map)?;
    work_off(connections, version, None).await
}

async fn queue_all(transaction: &mut Session) -> MemoryStoreResult<()> {
    sqlx::query!(
        "INSERT INTO unanalyzed_memories (memory_id) SELECT id FROM knowledge_nodes ON CONFLICT DO NOTHING"
    )
    .execute(transaction)
    .await
    .map_err(error::map)?;
    Ok(())
}

/// Gives the store the analysis of this program, and queues every memory.
async fn change(connections: &Connections) -> MemoryStoreResult<State> {
    // Every statement that writes terms has a lock of the table that this one waits for; later ones wait for
    // this transaction, and then see the new version.
    const LOCKED: &str = "LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE";
    let mut transaction = connections.begin(LOCKED).await?;
    let state = State::read(&mut transaction).await?;
    if state.is_ours() {
        return Ok(state);
    }
    refuse_newer(&state)?;
    tracing::info!("the words of every memory are analysed anew");
    sqlx::query!(
        "UPDATE keyword_analysis
         SET version = version + 1, fingerprint = $1, program = $2, complete = false",
        *FINGERPRINT,
        PROGRAM,
    )
    .execute(&mut transaction)
    .await
    .map_err(error::map)?;
    queue_all(&mut transaction).await?;
    // They speak of terms that are no more.
    for table in ["DELETE FROM keyword_statistics", "DELETE FROM keyword_statistics_state"] {
        transaction.execute(table).await.map_err(error::map)?;
    }
    let state = State::read(&mut transaction).await?;
    transaction.commit().await.map_err(error::map)?;
    Ok(state)
}

/// A program that is older than the one that analysed the store leaves it alone. Otherwise two versions that
/// are started in turn would each analyse everything anew.
fn refuse_newer(state: &State) -> MemoryStoreResult<()> {
    if numbers(&state.program) <= numbers(PROGRAM) {
        return Ok(());
    }
    Err(MemoryStoreError::Unavailable {
        reason: format!(
            "Vestige {} analysed its words, this is {PROGRAM}; use one version, the newer, for this store",
            state.program
        ),
        retryable: false,
        source: None,
    })
}

/// The numbers of a version such as 0.10.2.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

async fn complete(connections: &Connections, version: i64) -> MemoryStoreResult<()> {
    let mut session = connections.writer().await?;
    sqlx::query!("UPDATE keyword_analysis SET complete = true WHERE version = $1 AND NOT complete", version)
        .execute(&mut session)
        .await
        .map_err(error::map)?;
    session.commit().await.map_err(error::map)
}

/// Analyses the memories of the queue until it is empty, which may be by the work of others. Many are written
/// without the indexes with vectors; the caller has to build these afterwards.
async fn work_off(connections: &Connections, version: i64, mut work: Option<Work>) -> MemoryStoreResult<()> {
    let mut attempts = ATTEMPTS;
    loop {
        match pass(connections, version, "", &mut work).await {
            Ok(()) if !State::read(&mut connections.reader().await?).await?.queued => return Ok(()),
            Ok(()) => attempts = ATTEMPTS,
            Err(error) if error.is_retryable() && attempts > 1 => {
                attempts -= 1;
                tracing::debug!(%error, "a batch of memories could not be analysed yet");
            }
            Err(error) => return Err(error),
        }
        sleep(PAUSE).await;
    }
}

/// What decides whether the rest of the queue is worked off without the indexes with vectors.
///
/// An UPDATE of a row's terms puts its vector into the HNSW index once more, because another index has the
/// terms. That takes far longer than the rest of the row.
struct Work {
    /// The memories of the queue at the beginning.
    queued: u64,
    /// The vectors of the store at the beginning.
    vectors: u64,
    analyzed: u64,
    /// How many rows with a vector were written.
    written: u64,
}

impl Work {
    async fn count(connections: &Connections) -> MemoryStoreResult<Self> {
        let mut session = connections.long_transaction().await?;
        let counted = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM unanalyzed_memories) AS "queued!",
                 (SELECT count(embedding) FROM knowledge_nodes) AS "vectors!""#
        )
        .fetch_one(&mut session)
        .await
        .map_err(error::map)?;
        session.commit().await.map_err(error::map)?;
        let (queued, vectors) = (rows::count(counted.queued), rows::count(counted.vectors));
        Ok(Self { queued, vectors, analyzed: 0, written: 0 })
    }

    /// Whether so much is left that it takes longer with the indexes than without them, their building
    /// included. Expects that as large a share of the rest has to be written as of what was analysed.
    fn is_faster_without_indexes(&self) -> bool {
        if self.analyzed < SAMPLE {
            return false;
        }
        let rest = self.queued.saturating_sub(self.analyzed);
        let expected = u128::from(rest) * u128::from(self.written) / u128::from(self.analyzed);
        expected >= u128::from(MANY) && expected * u128::from(BUILT_MEANWHILE) >= u128::from(self.vectors)
    }
}

/// Analyses the memories of the queue that no other process has taken. Takes down the indexes with vectors if
/// `work` is given and is much; it is none afterwards.
async fn pass(
    connections: &Connections,
    version: i64,
    settings: &'static str,
    work: &mut Option<Work>,
) -> MemoryStoreResult<()> {
    // Where the last batch ended, so that the index is not searched over the rows that it removed.
    let mut from = Uuid::nil();
    while let Some(batch) = batch(connections, version, settings, from).await? {
        from = Uuid::from_u128(batch.last.as_u128().saturating_add(1));
        let Some(done) = work else { continue };
        done.analyzed += batch.analyzed;
        done.written += batch.written;
        if !done.is_faster_without_indexes() {
            continue;
        }
        // Other processes may have done most of it meanwhile.
        done.queued = done.analyzed + Work::count(connections).await?.queued;
        if done.is_faster_without_indexes() {
            *work = None;
            if let Err(error) = indexes::begin_bulk_load(connections).await {
                tracing::debug!(%error, "memories are analysed with the vector index in place");
            }
        }
    }
    Ok(())
}

/// A batch of the queue that was worked off.
struct Batch {
    last: Uuid,
    analyzed: u64,
    /// How many rows with a vector were written.
    written: u64,
}

/// Analyses memories of the queue, from an id on, that no other process has taken. None if there is none.
async fn batch(
    connections: &Connections,
    version: i64,
    settings: &'static str,
    from: Uuid,
) -> MemoryStoreResult<Option<Batch>> {
    let mut transaction = connections.begin(settings).await?;
    // A second table of the memories is being built, or none is until this transaction ends.
    sqlx::raw_sql("LOCK TABLE reembedding IN SHARE MODE; SELECT FROM reembedding FOR SHARE")
        .execute(&mut transaction)
        .await
        .map_err(error::map)?;
    let queued = sqlx::query_scalar!(
        "SELECT memory_id FROM unanalyzed_memories
         WHERE memory_id >= $1
         ORDER BY memory_id
         LIMIT $2
         FOR UPDATE SKIP LOCKED",
        from,
        BATCH,
    )
    .fetch_all(&mut transaction)
    .await
    .map_err(error::map)?;
    let Some(&last) = queued.last() else { return Ok(None) };
    let locked = sqlx::query!(
        r#"SELECT id, octet_length(content)::int8 AS "bytes!"
           FROM knowledge_nodes WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"#,
        &queued,
    )
    .fetch_all(&mut transaction)
    .await
    .map_err(error::map)?;
    let (mut written, mut bytes, mut part) = (0, 0, Vec::new());
    for memory in locked {
        if bytes > 0 && bytes + memory.bytes > MAX_BYTES {
            written += analyze(&mut transaction, &part, version).await?;
            (bytes, part) = (0, Vec::new());
        }
        bytes += memory.bytes;
        part.push(memory.id);
    }
    written += analyze(&mut transaction, &part, version).await?;
    sqlx::query!("DELETE FROM unanalyzed_memories WHERE memory_id = ANY ($1)", &queued)
        .execute(&mut transaction)
        .await
        .map_err(error::map)?;
    // Not where no memory was written: the queue must not be emptied for another analysis.
    check(&mut transaction, version).await.map_err(error::map)?;
    transaction.commit().await.map_err(error::map)?;
    Ok(Some(Batch { last, analyzed: queued.len() as u64, written }))
}

/// Analyses memories that this transaction has locked, and writes the terms that are others. Returns how many
/// rows with a vector were written.
async fn analyze(transaction: &mut Session, memories: &[Uuid], version: i64) -> MemoryStoreResult<u64> {
    let mut stored = passages::stored(transaction, memories).await?;
    let memories = sqlx::query!(
        r#"SELECT id, content, node_type, tags, search_vec AS "search_vec: TsVector", passages,
             embedding IS NOT NULL AS "embedded!"
           FROM knowledge_nodes WHERE id = ANY ($1)"#,
        memories,
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(error::map)?;
    let (mut ids, mut terms, mut counts, mut written) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut passages = Passages::default();
    {
        let analyzer = Analyzer::default();
        for memory in memories {
            let found = MemoryTerms::of(&analyzer, &memory.content, &memory.node_type, &memory.tags);
            let count = found.passages();
            if stored.remove(&memory.id).unwrap_or_default() != found.further {
                passages.add(memory.id, found.further);
            }
            if memory.search_vec.as_ref() != Some(&found.first) || memory.passages != count {
                ids.push(memory.id);
                terms.push(found.first);
                counts.push(count);
                written += u64::from(memory.embedded);
            }
        }
    }
    sqlx::query!(
        "UPDATE knowledge_nodes AS n
         SET search_vec = vestige_accept_terms(given.terms, $4), passages = given.passages
         FROM unnest($1::uuid[], $2::tsvector[], $3::int[]) AS given (id, terms, passages)
         WHERE n.id = given.id",
        &ids,
        &terms as _,
        &counts,
        version,
    )
    .execute(&mut *transaction)
    .await
    .map_err(error::map)?;
    passages.write(transaction).await.map_err(error::map)?;
    // It has the terms of before, and would not be told from the memory by its time.
    if indexes::next_is_built(transaction).await? {
        sqlx::query("DELETE FROM knowledge_nodes_next WHERE id = ANY ($1)")
            .bind(&ids)
            .execute(transaction)
            .await
            .map_err(error::map)?;
    }
    Ok(written)
}

/// How many memories have no terms, and how many have others than this program computes; none where the store
/// has another analysis.
pub(crate) async fn compare(snapshot: &mut Session) -> MemoryStoreResult<Option<Difference>> {
    if !State::read(snapshot).await?.is_ours() {
        return Ok(None);
    }
    let mut difference = Difference { missing: 0, wrong: 0 };
    let mut after: Option<Uuid> = None;
    loop {
        let memories = sqlx::query!(
            r#"SELECT id, content, node_type, tags, search_vec AS "search_vec: TsVector", passages
               FROM (
                 SELECT *, sum(octet_length(content)) OVER (ORDER BY id) - octet_length(content) AS before
                 FROM (
                   SELECT * FROM knowledge_nodes WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2
                 ) AS next
               ) AS measured
               WHERE before < $3
               ORDER BY id"#,
            after,
            BATCH,
            MAX_BYTES,
        )
        .fetch_all(&mut *snapshot)
        .await
        .map_err(error::map)?;
        let Some(last) = memories.last() else { return Ok(Some(difference)) };
        after = Some(last.id);
        let ids: Vec<Uuid> = memories.iter().map(|memory| memory.id).collect();
        let mut passages = passages::stored(snapshot, &ids).await?;
        let analyzer = Analyzer::default();
        for memory in &memories {
            let Some(stored) = &memory.search_vec else {
                difference.missing += 1;
                continue;
            };
            let found = MemoryTerms::of(&analyzer, &memory.content, &memory.node_type, &memory.tags);
            let further = passages.remove(&memory.id).unwrap_or_default();
            if *stored != found.first || memory.passages != found.passages() || further != found.further {
                difference.wrong += 1;
            }
        }
    }
}

/// Memories whose stored terms are not those that this program computes.
pub(crate) struct Difference {
    pub(crate) missing: u64,
    pub(crate) wrong: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_programs_are_compared_as_numbers() {
        assert!(numbers("0.0.0") < numbers(PROGRAM));
        assert!(numbers("0.9.1") < numbers("0.10.0") && numbers("0.10.0-rc.1") <= numbers("0.10.0"));
    }
}
