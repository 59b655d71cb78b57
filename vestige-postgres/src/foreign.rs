//! What in the schema is not Vestige's and could act in its name.
//!
//! A role that may create objects in the schema can plant a function that PostgreSQL takes for another one,
//! or a trigger. The schema's own functions look for no name there, since migration 8; this finds what was
//! planted.

use sqlx::Row;
use vestige_traits::MemoryStoreResult;
use vestige_traits::stats::Finding;

use crate::error;
use crate::session::Session;
use crate::tables;

/// The functions of the schema, with the types of their parameters.
const FUNCTIONS: [&str; 17] = [
    "vestige_accept_terms(tsvector, bigint)",
    "vestige_analysis_is(bigint)",
    "vestige_build_hnsw()",
    "vestige_count_deleted()",
    "vestige_count_documents(bigint, bigint, bigint)",
    "vestige_count_inserted()",
    "vestige_count_memories_of(regclass)",
    "vestige_count_none()",
    "vestige_count_passages()",
    "vestige_count_updated()",
    "vestige_index_codebase_vectors(regclass, text)",
    "vestige_length(tsvector)",
    "vestige_model_matches(text, integer, text, integer)",
    "vestige_model_takes(text, integer, text, integer)",
    "vestige_recount_documents()",
    "vestige_refuse_analysis(bigint)",
    "vestige_refuse_change()",
];
const SUBJECT: &str = "trust";

/// Says what others have put into the schema, or may put there.
pub(crate) async fn diagnose(snapshot: &mut Session, findings: &mut Vec<Finding>) -> MemoryStoreResult<()> {
    let tables: Vec<&str> =
        tables::TABLES.into_iter().chain(["knowledge_nodes_next", tables::MIGRATIONS]).collect();
    let found = sqlx::query(include_str!("sql/foreign.sql"))
        .bind(tables)
        .bind(&FUNCTIONS[..])
        .fetch_all(snapshot)
        .await
        .map_err(error::map)?;
    let (mut act, mut may) = (Vec::new(), Vec::new());
    for row in found {
        let what: String = row.get("what");
        if row.get("acts") { act.push(what) } else { may.push(what) }
    }
    if !act.is_empty() {
        findings.push(Finding::error(
            SUBJECT,
            format!("not Vestige's, and may run as the role that uses the store: {}", act.join(", ")),
            "see who made it and why, and drop it",
        ));
    }
    if !may.is_empty() {
        findings.push(Finding::warning(
            SUBJECT,
            may.join(", "),
            "revoke that right, or give Vestige a schema of its own; see the runbook on privileges",
        ));
    }
    if act.is_empty() && may.is_empty() {
        findings.push(Finding::ok(
            SUBJECT,
            "nothing of others is in the schema, and no other role may put it there",
        ));
    }
    Ok(())
}
