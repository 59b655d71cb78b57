//! The table of the operations of a store. Public for the macro's sake alone, and hidden from the
//! documentation.

/// The type of times, for macros in crates without chrono of their own.
pub type Time = chrono::DateTime<chrono::Utc>;
pub use uuid::Uuid;

/// Hands the table of the store's operations to a macro, so that code that treats
/// them all alike (erasure, fault injection) need not spell them out again.
///
/// Each line is `name<'a>(argument: type, …) -> answer;`, with `<'a>` where an argument is
/// borrowed. At most one argument of an operation is.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_operation {
    ($callback:ident) => {
        $callback! {
            init() -> ();
            health_check() -> $crate::stats::HealthStatus;
            count() -> u64;
            get_stats() -> $crate::stats::StoreStats;
            vacuum() -> ();
            diagnose() -> Vec<$crate::stats::Finding>;
            rebuild_indexes() -> ();
            registered_model() -> Option<$crate::ModelSignature>;
            register_model<'a>(signature: &'a $crate::ModelSignature) -> ();
            insert<'a>(record: &'a $crate::MemoryRecord) -> ();
            insert_batch<'a>(records: &'a [$crate::MemoryRecord]) -> ();
            change_token() -> $crate::ChangeToken;
            insert_batch_unless_changed<'a>(
                records: &'a [$crate::MemoryRecord], since: $crate::ChangeToken
            ) -> ();
            get(id: $crate::operations::Uuid) -> Option<$crate::MemoryRecord>;
            list<'a>(query: &'a $crate::ListQuery) -> $crate::ListPage;
            update<'a>(record: &'a $crate::MemoryRecord) -> $crate::operations::Time;
            update_unless_changed<'a>(record: &'a $crate::MemoryRecord, version: $crate::operations::Time)
                -> $crate::operations::Time;
            delete(id: $crate::operations::Uuid) -> ();
            search<'a>(query: &'a $crate::SearchQuery) -> Vec<$crate::SearchResult>;
            explain_search<'a>(query: &'a $crate::SearchQuery) -> $crate::plan::SearchPlan;
            get_context<'a>(ids: &'a [$crate::operations::Uuid], each: usize) -> Vec<$crate::SessionContext>;
            get_scheduling(memory_id: $crate::operations::Uuid)
                -> Option<$crate::scheduling::SchedulingState>;
            update_scheduling<'a>(
                memory_id: $crate::operations::Uuid, state: &'a $crate::scheduling::SchedulingState
            ) -> ();
            get_due_memories(now: $crate::operations::Time, limit: usize)
                -> Vec<$crate::scheduling::DueMemory>;
            record_review<'a>(event: &'a $crate::scheduling::ReviewEvent) -> ();
            get_reviews(memory_id: $crate::operations::Uuid) -> Vec<$crate::scheduling::ReviewEvent>;
            add_edge<'a>(edge: &'a $crate::MemoryEdge) -> ();
            get_edges(memory_id: $crate::operations::Uuid) -> Vec<$crate::MemoryEdge>;
            remove_edge<'a>(
                source_id: $crate::operations::Uuid, target_id: $crate::operations::Uuid, edge_type: &'a str
            ) -> ();
            get_neighbors(memory_id: $crate::operations::Uuid, depth: usize) -> Vec<$crate::Neighbor>;
            list_domains() -> Vec<$crate::Domain>;
            get_domain<'a>(id: &'a str) -> Option<$crate::Domain>;
            upsert_domain<'a>(domain: &'a $crate::Domain) -> ();
            delete_domain<'a>(id: &'a str) -> ();
            classify<'a>(embedding: &'a [f32]) -> Vec<$crate::DomainScore>;
            count_rows(kind: $crate::transfer::TransferKind) -> u64;
            export_page<'a>(
                kind: $crate::transfer::TransferKind,
                after: Option<&'a $crate::transfer::TransferKey>,
                limit: usize
            ) -> $crate::transfer::TransferPage;
            import_page<'a>(
                rows: &'a [$crate::transfer::TransferRow], checkpoint: Option<$crate::transfer::Checkpoint>
            ) -> $crate::transfer::ImportReport;
            begin_bulk_load() -> ();
            finish_bulk_load() -> ();
            get_checkpoint<'a>(name: &'a str) -> Option<$crate::transfer::Checkpoint>;
            clear_checkpoint<'a>(name: &'a str) -> ();
            begin_reembedding<'a>(model: &'a $crate::ModelSignature) -> $crate::reembed::ReembeddingStatus;
            reembedding_status() -> Option<$crate::reembed::ReembeddingStatus>;
            reembedding_pending(after: Option<$crate::operations::Uuid>, limit: usize)
                -> Vec<$crate::reembed::PendingMemory>;
            write_reembedded<'a>(vectors: &'a [$crate::reembed::ReembeddedMemory]) -> u64;
            finish_reembedding() -> ();
            abort_reembedding() -> ();
        }
    };
}
