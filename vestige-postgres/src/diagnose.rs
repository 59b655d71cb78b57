//! Whether a store is well: the quick check and the thorough one.

use std::collections::BTreeSet;

use vestige_traits::MemoryStoreResult;
use vestige_traits::stats::{Finding, HealthStatus};

use crate::analysis::{self, Difference};
use crate::connection::Connections;
use crate::error;
use crate::foreign;
use crate::indexes::{CODEBASE_VECTORS, INDEXES, VECTOR_INDEX};
use crate::migrations;
use crate::reembed;
use crate::registry;
use crate::rights::Rights;
use crate::session::Session;

/// The longest vectors that the index of each code base's vectors holds.
const MAX_CODEBASE_VECTORS: usize = 400;
const REBUILD: &str = "run `vestige doctor --repair` (`rebuild_indexes` in code)";
/// The operations that drop the vector indexes, and build them at their end.
const LOAD: &str = "repeat the import, restore or migration that was interrupted";

pub(crate) async fn health_check(connections: &Connections) -> HealthStatus {
    match fault(connections).await {
        Ok(None) => HealthStatus::Healthy,
        Ok(Some(reason)) => HealthStatus::Degraded { reason },
        Err(error) => HealthStatus::unavailable(error),
    }
}

/// The fault that makes the store slow, if it has one.
async fn fault(connections: &Connections) -> MemoryStoreResult<Option<String>> {
    let mut session = connections.reader().await?;
    let state = sqlx::query!(
        r#"SELECT
             EXISTS (SELECT FROM embedding_model) AS "has_model!",
             coalesce(
               (SELECT indisvalid FROM pg_index
                WHERE indexrelid = to_regclass('idx_knowledge_nodes_embedding_hnsw')),
               false
             ) AS "is_indexed!""#
    )
    .fetch_one(&mut session)
    .await
    .map_err(error::map)?;
    Ok((state.has_model && !state.is_indexed).then(|| {
        "the vector index is missing, so searches by meaning are slow; finish the bulk load or rebuild the indexes"
            .to_owned()
    }))
}

/// Looks for faults. A store of `large` memories or more needs statistics of common words.
pub(crate) async fn diagnose(connections: &Connections, large: u32) -> MemoryStoreResult<Vec<Finding>> {
    let mut findings = Vec::new();
    let version = migrations::version(connections.sessions()).await?.unwrap_or(0);
    findings.push(match version == migrations::newest() {
        true => Finding::ok("schema", format!("version {version}")),
        false => Finding::warning(
            "schema",
            format!("version {version}, this program knows {}", migrations::newest()),
            "open the store for writing once, which upgrades it",
        ),
    });
    let mut snapshot = connections.snapshot().await?;
    server(&mut snapshot, &mut findings).await?;
    privileges(&mut snapshot, &mut findings).await?;
    foreign::diagnose(&mut snapshot, &mut findings).await?;
    indexes(&mut snapshot, &mut findings).await?;
    vectors(&mut snapshot, &mut findings).await?;
    keywords(&mut snapshot, large, &mut findings).await?;
    constraints(&mut snapshot, &mut findings).await?;
    settings(&mut snapshot, &mut findings).await?;
    if let Some(status) = reembed::reembedding_status(&mut snapshot).await? {
        findings.push(Finding::warning(
            "re-embedding",
            format!("one to {} is under way: {} done, {} to do", status.model, status.done, status.pending),
            "run the same re-embedding again to go on with it, or abort it",
        ));
    }
    Ok(findings)
}

async fn server(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let server = sqlx::query!(
        r#"SELECT current_setting('server_version') AS "version!", current_setting('server_encoding') AS "encoding!",
             (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
             (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available"#
    )
    .fetch_one(&mut *snapshot)
    .await
    .map_err(error::map)?;
    findings.push(Finding::ok("server", format!("PostgreSQL {}, {}", server.version, server.encoding)));
    findings.push(match (server.pgvector, server.available) {
        (Some(installed), Some(available)) if installed != available => Finding::warning(
            "pgvector",
            format!("{installed} in this database, {available} on the server"),
            "run ALTER EXTENSION vector UPDATE as the extension's owner",
        ),
        (Some(installed), _) => Finding::ok("pgvector", installed),
        (None, _) => {
            Finding::error("pgvector", "not in this database", "run CREATE EXTENSION vector as a superuser")
        }
    });
    Ok(())
}

async fn privileges(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let superuser =
        sqlx::query_scalar!(r#"SELECT rolsuper AS "superuser!" FROM pg_roles WHERE rolname = current_user"#)
            .fetch_one(&mut *snapshot)
            .await
            .map_err(error::map)?;
    let Some(rights) = Rights::find(&mut *snapshot).await.map_err(error::map)? else { return Ok(()) };
    let role = &rights.role;
    findings.push(if superuser {
        Finding::warning(
            "privileges",
            format!("role {role} is a superuser"),
            "use a role that owns the store's tables and nothing else; see the runbook",
        )
    } else if !rights.are_complete() {
        Finding::warning(
            "privileges",
            format!("role {role} may not do everything: {rights}"),
            "open the store read-only if it is to be read alone, or grant these; see the runbook on roles",
        )
    } else if !rights.owns {
        Finding::ok(
            "privileges",
            format!(
                "role {role} may read and write rows; upgrades, the first model and re-embedding need {}, who owns the store",
                rights.owner
            ),
        )
    } else {
        Finding::ok("privileges", format!("role {role} owns the store and is no superuser"))
    });
    Ok(())
}

async fn indexes(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let dimension = registry::registered_model(snapshot).await?.map(|model| model.dimension);
    let found = sqlx::query!(
        r#"SELECT c.relname::text AS "name!", i.indisvalid AND i.indisready AS "valid!"
           FROM pg_index AS i
           JOIN pg_class AS c ON c.oid = i.indexrelid
           WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'knowledge_nodes'::regclass)"#
    )
    .fetch_all(&mut *snapshot)
    .await
    .map_err(error::map)?;
    let names: BTreeSet<&str> = found.iter().map(|index| index.name.as_str()).collect();
    let missing: Vec<&str> = INDEXES
        .into_iter()
        .filter(|name| !names.contains(name))
        .filter(|name| match *name {
            VECTOR_INDEX => dimension.is_some(),
            CODEBASE_VECTORS => dimension.is_some_and(|dimension| dimension <= MAX_CODEBASE_VECTORS),
            _ => true,
        })
        .collect();
    let invalid: Vec<&str> =
        found.iter().filter(|index| !index.valid).map(|index| index.name.as_str()).collect();
    for name in &missing {
        let (what, remedy) = match *name {
            VECTOR_INDEX => ("the vector index is missing: searches by meaning read every vector", LOAD),
            CODEBASE_VECTORS => (
                "the index of each code base's vectors is missing: searches in a large code base are slow",
                LOAD,
            ),
            _ => ("an index is missing", "create it as in migration 0001"),
        };
        findings.push(Finding::error(
            "indexes",
            format!("{what} ({name})"),
            format!("{remedy}, or {REBUILD}"),
        ));
    }
    for name in &invalid {
        findings.push(Finding::error(
            "indexes",
            format!("{name} is invalid: a build of it was interrupted"),
            format!("{REBUILD}, or run REINDEX INDEX {name}"),
        ));
    }
    if missing.is_empty() && invalid.is_empty() {
        findings.push(Finding::ok("indexes", format!("all {} there and valid", found.len())));
    }
    Ok(())
}

async fn vectors(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let registered = registry::registered_model(snapshot).await?;
    let column = sqlx::query!(
        r#"SELECT
             (SELECT atttypmod FROM pg_attribute
              WHERE attrelid = 'knowledge_nodes'::regclass AND attname = 'embedding') AS "dimension!",
             (SELECT count(*) FROM knowledge_nodes) AS "memories!",
             (SELECT count(embedding) FROM knowledge_nodes) AS "embedded!""#
    )
    .fetch_one(&mut *snapshot)
    .await
    .map_err(error::map)?;
    findings.push(match &registered {
        None => Finding::ok("model", "none is registered yet"),
        Some(model) if usize::try_from(column.dimension).ok() == Some(model.dimension) => {
            Finding::ok("model", format!("{model}, as is the column"))
        }
        Some(model) if column.dimension < 1 => Finding::error(
            "model",
            format!("{model} is registered, the column holds vectors of any dimension, as after a restore of the rows alone"),
            REBUILD,
        ),
        Some(model) => Finding::error(
            "model",
            format!("{model} is registered, the column holds {} dimensions", column.dimension),
            "restore a backup, or export, and restore into a new store",
        ),
    });
    // No fault: a text in which the model knows no word has no vector, however often it is embedded.
    let bare = column.memories - column.embedded;
    let mut vectors = format!("{} of {} memories", column.embedded, column.memories);
    if registered.is_some() && bare > 0 {
        vectors = format!("{vectors}; {bare} without one, found by words alone");
    }
    findings.push(Finding::ok("vectors", vectors));
    Ok(())
}

async fn keywords(snapshot: &mut Session, large: u32, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let totals = sqlx::query!(
        r#"SELECT
             (SELECT coalesce(sum(documents), 0) FROM keyword_totals)::int8 AS "documents!",
             (SELECT coalesce(sum(terms), 0) FROM keyword_totals)::int8 AS "terms!",
             (SELECT coalesce(sum(passages), 0) FROM keyword_totals)::int8 AS "passages!",
             memories.documents + passages.documents AS "real_documents!",
             memories.terms + passages.terms AS "real_terms!",
             passages.documents AS "real_passages!",
             (
               SELECT count(*) FROM keyword_passages AS p
               WHERE NOT EXISTS (
                 SELECT FROM knowledge_nodes AS n WHERE n.id = p.memory_id AND n.passages >= p.number
               )
             ) AS "left_over!",
             (SELECT documents FROM keyword_statistics_state) AS computed_for
           FROM (
             SELECT count(*) AS documents, coalesce(sum(vestige_length(search_vec)), 0)::int8 AS terms
             FROM knowledge_nodes
           ) AS memories
           CROSS JOIN (
             SELECT count(*) AS documents, coalesce(sum(vestige_length(search_vec)), 0)::int8 AS terms
             FROM keyword_passages
           ) AS passages"#
    )
    .fetch_one(&mut *snapshot)
    .await
    .map_err(error::map)?;
    let difference = analysis::compare(snapshot).await?;
    if difference.is_none() {
        findings.push(Finding::error(
            "keyword index",
            "its words are analysed by another version of Vestige",
            "restart this program, and use one version of Vestige for this store",
        ));
    } else if let Some(Difference { missing, wrong }) = difference
        && missing + wrong > 0
    {
        findings.push(Finding::error(
            "keyword index",
            format!(
                "{wrong} memories are indexed by other words than theirs, {missing} by none: another program wrote them"
            ),
            REBUILD,
        ));
    } else if totals.left_over > 0 {
        findings.push(Finding::error(
            "keyword index",
            format!("it holds {} passages that no memory has: another program wrote them", totals.left_over),
            REBUILD,
        ));
    } else if (totals.documents, totals.terms, totals.passages)
        != (totals.real_documents, totals.real_terms, totals.real_passages)
    {
        findings.push(Finding::error(
            "keyword index",
            format!(
                "it counts {}, there are {}",
                counted(totals.documents, totals.passages, totals.terms),
                counted(totals.real_documents, totals.real_passages, totals.real_terms)
            ),
            REBUILD,
        ));
    } else {
        let counted = counted(totals.documents, totals.passages, totals.terms);
        findings.push(Finding::ok("keyword index", counted));
    }
    let is_large = totals.documents >= i64::from(large);
    let fresh = totals
        .computed_for
        .is_some_and(|then| (then / 2..=then.saturating_mul(2)).contains(&totals.documents));
    findings.push(match totals.computed_for {
        _ if !is_large => Finding::ok("keyword statistics", "not needed for a store of this size"),
        Some(then) if fresh => Finding::ok("keyword statistics", format!("computed for {then} memories")),
        _ => {
            Finding::warning("keyword statistics", "old or missing: common words make searches slow", REBUILD)
        }
    });
    Ok(())
}

/// What the keyword index counts.
fn counted(documents: i64, passages: i64, terms: i64) -> String {
    let memories = documents - passages;
    match passages {
        0 => format!("{memories} memories, {terms} terms"),
        _ => format!("{memories} memories, {passages} further passages of long ones, {terms} terms"),
    }
}

async fn constraints(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let unchecked = sqlx::query_scalar!(
        r#"SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname) AS "mend!"
           FROM pg_constraint
           WHERE NOT convalidated AND conrelid IN ('scheduling'::regclass, 'edges'::regclass, 'knowledge_nodes'::regclass)
           ORDER BY 1"#
    )
    .fetch_all(&mut *snapshot)
    .await
    .map_err(error::map)?;
    if unchecked.is_empty() {
        findings.push(Finding::ok("constraints", "all checked"));
    }
    for mend in unchecked {
        findings.push(Finding::warning(
            "constraints",
            "one holds for new rows and has not been checked for the old ones, since a re-embedding was interrupted",
            format!("run {mend}"),
        ));
    }
    Ok(())
}

async fn settings(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let settings = sqlx::query!(
        r#"SELECT
             pg_size_bytes(current_setting('shared_buffers')) AS "shared_buffers!",
             pg_total_relation_size('knowledge_nodes') + pg_total_relation_size('keyword_passages') AS "size!",
             current_setting('fsync') AS "fsync!",
             current_setting('full_page_writes') AS "full_page_writes!",
             current_setting('autovacuum') AS "autovacuum!",
             current_setting('max_connections') AS "max_connections!",
             current_setting('dynamic_shared_memory_type') AS "shared_memory!",
             current_setting('max_parallel_maintenance_workers') AS "workers!",
             coalesce(current_setting('hnsw.ef_search', true), '40') AS "ef_search!""#
    )
    .fetch_one(&mut *snapshot)
    .await
    .map_err(error::map)?;
    let mib = |bytes: i64| bytes / (1024 * 1024);
    findings.push(if settings.size > 2 * settings.shared_buffers && settings.size > 256 * 1024 * 1024 {
        Finding::warning(
            "shared_buffers",
            format!(
                "{} MiB for {} MiB of memories and indexes",
                mib(settings.shared_buffers),
                mib(settings.size)
            ),
            "raise shared_buffers towards a quarter of the server's memory, and restart it",
        )
    } else {
        Finding::ok("shared_buffers", format!("{} MiB", mib(settings.shared_buffers)))
    });
    findings.push(if settings.fsync == "off" || settings.full_page_writes == "off" {
        Finding::warning(
            "durability",
            "fsync or full_page_writes is off: a crash can lose or spoil memories",
            "turn both on",
        )
    } else {
        Finding::ok("durability", "fsync and full_page_writes are on")
    });
    findings.push(if settings.autovacuum == "off" {
        Finding::warning(
            "autovacuum",
            "off: deleted memories keep their space, plans grow stale",
            "turn it on",
        )
    } else {
        Finding::ok("autovacuum", "on")
    });
    findings.push(if settings.workers != "0" && settings.shared_memory == "posix" {
        Finding::ok(
            "index builds",
            format!(
                "up to {} parallel workers, sharing memory in /dev/shm (in a container: --shm-size=1g or more)",
                settings.workers
            ),
        )
    } else {
        Finding::ok("index builds", format!("{} parallel workers, {} shared memory", settings.workers, settings.shared_memory))
    });
    findings.push(Finding::ok(
        "hnsw.ef_search",
        format!("{} on the server; searches set their own", settings.ef_search),
    ));
    Ok(())
}
