//! The names of the tables.

/// The table of the migrations that ran, which `sqlx migrate` uses too.
pub(crate) const MIGRATIONS: &str = "_sqlx_migrations";
/// The tables that the migrations create.
pub(crate) const TABLES: [&str; 18] = [
    "checkpoints",
    "domains",
    "edges",
    "embedding_model",
    "group_memberships",
    "groups",
    "keyword_analysis",
    "keyword_passages",
    "keyword_statistics",
    "keyword_statistics_state",
    "keyword_totals",
    "knowledge_nodes",
    "reembedding",
    "reembedding_vectors",
    "review_events",
    "scheduling",
    "unanalyzed_memories",
    "users",
];
