/// Hands the table of the store's operations to a macro, so that code that treats
/// them all alike (erasure, fault injection) need not spell them out again.
///
/// Each line is `name<'a>(argument: type, …) -> answer;`, with `<'a>` where an argument is
/// borrowed. At most one argument of an operation is. With the feature `conformance` tests outside this
/// crate may use it too.
#[cfg_attr(feature = "conformance", macro_export)]
#[doc(hidden)]
macro_rules! for_each_operation {
    ($callback:ident) => {
        $callback! {
            init() -> ();
            health_check() -> $crate::HealthStatus;
            count() -> u64;
            get_stats() -> $crate::StoreStats;
            vacuum() -> ();
            diagnose() -> Vec<$crate::Finding>;
            rebuild_indexes() -> ();
            registered_model() -> Option<$crate::ModelSignature>;
            register_model<'a>(signature: &'a $crate::ModelSignature) -> ();
            insert<'a>(record: &'a $crate::MemoryRecord) -> ();
            insert_batch<'a>(records: &'a [$crate::MemoryRecord]) -> ();
            get(id: ::uuid::Uuid) -> Option<$crate::MemoryRecord>;
            list<'a>(query: &'a $crate::ListQuery) -> $crate::ListPage;
            update<'a>(record: &'a $crate::MemoryRecord) -> ::chrono::DateTime<::chrono::Utc>;
            update_unless_changed<'a>(record: &'a $crate::MemoryRecord, version: ::chrono::DateTime<::chrono::Utc>)
                -> ::chrono::DateTime<::chrono::Utc>;
            delete(id: ::uuid::Uuid) -> ();
            search<'a>(query: &'a $crate::SearchQuery) -> Vec<$crate::SearchResult>;
            fts_search<'a>(query: &'a $crate::SearchQuery) -> Vec<$crate::SearchResult>;
            vector_search<'a>(query: &'a $crate::SearchQuery) -> Vec<$crate::SearchResult>;
            explain_search<'a>(query: &'a $crate::SearchQuery) -> $crate::SearchPlan;
            get_scheduling(memory_id: ::uuid::Uuid) -> Option<$crate::SchedulingState>;
            update_scheduling<'a>(memory_id: ::uuid::Uuid, state: &'a $crate::SchedulingState) -> ();
            get_due_memories(now: ::chrono::DateTime<::chrono::Utc>, limit: usize) -> Vec<$crate::DueMemory>;
            record_review<'a>(event: &'a $crate::ReviewEvent) -> ();
            get_reviews(memory_id: ::uuid::Uuid) -> Vec<$crate::ReviewEvent>;
            add_edge<'a>(edge: &'a $crate::MemoryEdge) -> ();
            get_edges(memory_id: ::uuid::Uuid) -> Vec<$crate::MemoryEdge>;
            remove_edge<'a>(source_id: ::uuid::Uuid, target_id: ::uuid::Uuid, edge_type: &'a str) -> ();
            get_neighbors(memory_id: ::uuid::Uuid, depth: usize) -> Vec<$crate::Neighbor>;
            list_domains() -> Vec<$crate::Domain>;
            get_domain<'a>(id: &'a str) -> Option<$crate::Domain>;
            upsert_domain<'a>(domain: &'a $crate::Domain) -> ();
            delete_domain<'a>(id: &'a str) -> ();
            classify<'a>(embedding: &'a [f32]) -> Vec<$crate::DomainScore>;
            count_rows(kind: $crate::TransferKind) -> u64;
            export_page<'a>(kind: $crate::TransferKind, after: Option<&'a $crate::TransferKey>, limit: usize)
                -> $crate::TransferPage;
            import_page<'a>(rows: &'a [$crate::TransferRow], checkpoint: Option<$crate::Checkpoint>)
                -> $crate::ImportReport;
            begin_bulk_load() -> ();
            finish_bulk_load() -> ();
            get_checkpoint<'a>(name: &'a str) -> Option<$crate::Checkpoint>;
            clear_checkpoint<'a>(name: &'a str) -> ();
            begin_reembedding<'a>(model: &'a $crate::ModelSignature) -> $crate::ReembeddingStatus;
            reembedding_status() -> Option<$crate::ReembeddingStatus>;
            reembedding_pending(after: Option<::uuid::Uuid>, limit: usize) -> Vec<$crate::PendingMemory>;
            write_reembedded<'a>(vectors: &'a [$crate::ReembeddedMemory]) -> u64;
            finish_reembedding() -> ();
            abort_reembedding() -> ();
        }
    };
}

pub(crate) use for_each_operation;
