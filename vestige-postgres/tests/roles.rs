//! Roles that do not own the store: what they may do with the scripts of `grants/`, and what they are told
//! about the rest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use common::{TestDatabase, eventually, on_server, with_user};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use vestige_conformance::fixtures::{
    domain, edge, embedded, found, id, ids, memory, model, now, review, reviewed, smaller_model,
};
use vestige_postgres::PgMemoryStore;
use vestige_traits::identity::User;
use vestige_traits::reembed::ReembeddedMemory;
use vestige_traits::stats::{Finding, HealthStatus, Severity};
use vestige_traits::transfer::{Checkpoint, TransferKind, TransferRow};
use vestige_traits::{Domain, ListQuery, MemoryStore, MemoryStoreError, MemoryStoreResult, SearchQuery};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
const WRITER: &str = include_str!("../grants/writer.sql");
const READER: &str = include_str!("../grants/reader.sql");

/// A store as in the runbook: a role owns it in a schema of its own, and another role uses it.
struct Roles {
    database: TestDatabase,
    owner: String,
    role: String,
}

impl Roles {
    /// A store with a model and a memory. The role that is to use it has no rights yet.
    async fn new() -> Option<Self> {
        let database = TestDatabase::empty().await?;
        let (owner, role) = (format!("{}_owner", database.name), format!("{}_role", database.name));
        let roles = Self { database, owner, role };
        let (owner, role) = (&roles.owner, &roles.role);
        roles
            .admin(&format!(
                "CREATE EXTENSION vector;
                 DROP ROLE IF EXISTS {role}; DROP ROLE IF EXISTS {owner};
                 CREATE ROLE {owner} LOGIN PASSWORD 'p4ssw0rd';
                 CREATE ROLE {role} LOGIN PASSWORD 'p4ssw0rd';
                 CREATE SCHEMA vestige AUTHORIZATION {owner};
                 ALTER ROLE {owner} IN DATABASE {} SET search_path = vestige, public",
                roles.database.name
            ))
            .await;
        Some(roles)
    }

    async fn admin(&self, statements: &str) {
        let pool = self.database.pool().await;
        pool.execute(AssertSqlSafe(statements.to_owned())).await.unwrap();
        pool.close().await;
    }

    /// Runs one of the scripts as its first lines say.
    async fn grant(&self, script: &str) {
        let Self { database, owner, role } = self;
        let run = format!(
            "cat >grants.sql <<'END OF SCRIPT'\n{script}\nEND OF SCRIPT
             psql -q -v ON_ERROR_STOP=1 -v role={role} -v owner={owner} -v schema=vestige -d {} -f grants.sql",
            database.name
        );
        on_server::run(&database.url, &run).await.expect_success();
    }

    async fn owner(&self) -> PgMemoryStore {
        PgMemoryStore::connect(&with_user(&self.database.url, &self.owner, "p4ssw0rd"), 2).await.unwrap()
    }

    async fn role(&self) -> MemoryStoreResult<PgMemoryStore> {
        PgMemoryStore::connect(&self.url(), 2).await
    }

    fn url(&self) -> String {
        with_user(&self.database.url, &self.role, "p4ssw0rd")
    }

    async fn drop(self) {
        self.admin(&format!("DROP OWNED BY {0}, {1} CASCADE; DROP ROLE {0}, {1}", self.role, self.owner))
            .await;
        self.database.drop().await;
    }
}

fn assert_refused<T: std::fmt::Debug>(result: MemoryStoreResult<T>, says: &[&str]) {
    let error = result.unwrap_err();
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
    let said = error.to_string();
    assert!(says.iter().all(|part| said.contains(part)) && !said.contains('\n'), "{said}");
}

async fn read_everything(store: &PgMemoryStore) {
    for kind in TransferKind::ALL {
        let page = store.export_page(kind, None, 100).await.unwrap();
        assert_eq!(page.rows.len() as u64, store.count_rows(kind).await.unwrap());
    }
    let vector = vec![1.0, 0.0, 0.0, 0.0];
    assert_eq!(found(&store.search(&SearchQuery::hybrid("kept", vector.clone())).await.unwrap()), ids([1]));
    store.explain_search(&SearchQuery::text("kept")).await.unwrap();
    assert!(store.get(id(1)).await.unwrap().is_some());
    assert_eq!(store.list(&ListQuery::default()).await.unwrap().records.len(), 1);
    store.get_scheduling(id(1)).await.unwrap();
    store.get_due_memories(now(), 10).await.unwrap();
    store.get_reviews(id(1)).await.unwrap();
    store.get_edges(id(1)).await.unwrap();
    store.get_neighbors(id(1), 2).await.unwrap();
    store.list_domains().await.unwrap();
    store.get_domain("work").await.unwrap();
    store.classify(&vector).await.unwrap();
    store.get_checkpoint("import").await.unwrap();
    store.reembedding_status().await.unwrap();
    assert_eq!(store.get_stats().await.unwrap().memories, 1);
    assert_eq!(store.registered_model().await.unwrap(), Some(model()));
    store.register_model(&model()).await.unwrap();
    assert_eq!(store.health_check().await.unwrap(), HealthStatus::Healthy);
}

async fn finding(store: &PgMemoryStore, subject: &str) -> Finding {
    store.diagnose().await.unwrap().into_iter().find(|finding| finding.subject == subject).unwrap()
}

#[tokio::test]
async fn a_writer_does_everything_but_change_the_schema() {
    let Some(roles) = Roles::new().await else { return };
    let owner = roles.owner().await;
    roles.grant(WRITER).await;
    // The first model changes a column.
    let store = roles.role().await.unwrap();
    assert_refused(
        store.register_model(&model()).await,
        &["may not do this", &roles.owner, "who owns the store"],
    );
    owner.register_model(&model()).await.unwrap();
    store.register_model(&model()).await.unwrap();
    let vector = [1.0, 0.0, 0.0, 0.0];
    store.insert(&embedded(1, "kept words", &vector)).await.unwrap();
    read_everything(&store).await;
    store.insert_batch(&[embedded(2, "second words", &vector), memory(3, "third")]).await.unwrap();
    store.update(&memory(3, "other words")).await.unwrap();
    store.record_review(&review(1, 1, None, reviewed(now(), 2.0))).await.unwrap();
    store.update_scheduling(id(1), &reviewed(now(), 2.0)).await.unwrap();
    store.add_edge(&edge(1, 2, 0.5)).await.unwrap();
    store.add_edge(&edge(1, 2, 0.7)).await.unwrap();
    store.remove_edge(id(1), id(2), "related").await.unwrap();
    store.upsert_domain(&Domain { centroid: Some(vector.to_vec()), ..domain("work") }).await.unwrap();
    store.delete_domain("work").await.unwrap();
    let checkpoint =
        Checkpoint { name: "import".to_owned(), state: serde_json::json!({}), updated_at: now() };
    store.begin_bulk_load().await.unwrap();
    let rows = [
        TransferRow::User(User { id: id(900), handle: "ada".to_owned(), ..User::local() }),
        TransferRow::Memory(embedded(4, "imported words", &vector)),
    ];
    assert_eq!(store.import_page(&rows, Some(checkpoint)).await.unwrap().inserted, 2);
    store.finish_bulk_load().await.unwrap();
    store.clear_checkpoint("import").await.unwrap();
    store.vacuum().await.unwrap();
    store.rebuild_indexes().await.unwrap();
    assert_eq!(store.search(&SearchQuery::text("words")).await.unwrap().len(), 4);
    for n in 2..=4 {
        store.delete(id(n)).await.unwrap();
    }
    read_everything(&store).await;
    let privileges = finding(&store, "privileges").await;
    assert_eq!(privileges.severity, Severity::Ok, "{privileges:?}");
    assert_eq!(finding(&store, "trust").await.severity, Severity::Ok);

    let needs_the_owner = ["may not do this", roles.owner.as_str(), "who owns the store"];
    assert_refused(store.begin_reembedding(&smaller_model()).await, &needs_the_owner);
    assert_eq!(store.reembedding_status().await.unwrap(), None);
    store.abort_reembedding().await.unwrap();
    // One that the owner has begun is for the owner to give up.
    owner.begin_reembedding(&smaller_model()).await.unwrap();
    assert_refused(store.abort_reembedding().await, &needs_the_owner);
    owner.abort_reembedding().await.unwrap();
    for store in [store, owner] {
        store.close().await;
    }
    roles.drop().await;
}

#[tokio::test]
async fn a_writer_is_told_who_may_upgrade_the_store() {
    let Some(roles) = Roles::new().await else { return };
    roles.owner().await.close().await;
    roles.grant(WRITER).await;
    let options: PgConnectOptions = roles.database.url.parse().unwrap();
    // The way down makes functions, which belong to who goes it.
    let options = options.options([("search_path", "vestige,public"), ("role", &roles.owner)]);
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    MIGRATOR.undo(&pool, 7).await.unwrap();
    pool.close().await;
    assert_refused(roles.role().await, &["version 7", "may not upgrade it", &roles.owner]);
    roles.owner().await.close().await;
    roles.role().await.unwrap().close().await;
    roles.drop().await;
}

#[tokio::test]
async fn all_missing_rights_are_said_at_once() {
    let Some(roles) = Roles::new().await else { return };
    let owner = roles.owner().await;
    owner.register_model(&model()).await.unwrap();
    owner.insert(&embedded(1, "kept words", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let path =
        format!("ALTER ROLE {} IN DATABASE {} SET search_path = vestige", roles.role, roles.database.name);
    roles.admin(&path).await;
    let everything = [
        "to read it lacks USAGE on schema vestige; SELECT on every table",
        "to write it lacks INSERT on every table; UPDATE on every table; DELETE on every table; MAINTAIN on",
    ];
    assert_refused(roles.role().await, &everything);
    roles.admin(&format!("GRANT USAGE ON SCHEMA vestige TO {}", roles.role)).await;
    assert_refused(roles.role().await, &["to read it lacks SELECT on every table", everything[1]]);

    roles.grant(WRITER).await;
    let some = "REVOKE INSERT ON vestige.edges, vestige.users FROM the_role;
        REVOKE UPDATE ON ALL TABLES IN SCHEMA vestige FROM the_role;
        REVOKE SELECT ON vestige.domains FROM the_role;
        REVOKE EXECUTE ON FUNCTION vestige.vestige_length FROM PUBLIC, the_role";
    roles.admin(&some.replace("the_role", &roles.role)).await;
    let store = roles.role().await.unwrap();
    let missing = [
        "to read it lacks SELECT on domains; EXECUTE on functions vestige_length, and to write it lacks",
        "it lacks INSERT on edges, users; UPDATE on every table; see",
    ];
    assert_refused(store.add_edge(&edge(1, 2, 0.5)).await, &missing);
    assert_refused(store.list_domains().await, &missing);
    assert_refused(store.insert(&memory(2, "more words")).await, &missing);
    assert_refused(store.insert_batch(&[memory(2, "more words")]).await, &missing);
    assert_refused(store.diagnose().await, &missing);
    let some = format!("GRANT EXECUTE ON FUNCTION vestige.vestige_length TO {}", roles.role);
    roles.admin(&some).await;
    let privileges = finding(&store, "privileges").await;
    assert_eq!(privileges.severity, Severity::Warning, "{privileges:?}");
    assert!(privileges.message.contains("to read it lacks SELECT on domains, and"), "{privileges:?}");
    store.close().await;
    // What is only read needs no right to write.
    let reads = PgMemoryStore::builder(roles.url()).read_only(true).connect().await.unwrap();
    let refused = reads.list_domains().await;
    assert!(!refused.as_ref().unwrap_err().to_string().contains("to write"), "{refused:?}");
    assert_refused(refused, &["to read it lacks SELECT on domains; see"]);
    for store in [reads, owner] {
        store.close().await;
    }
    roles.drop().await;
}

#[tokio::test]
async fn a_reader_reads_everything_and_is_told_what_it_may_not() {
    let Some(roles) = Roles::new().await else { return };
    let owner = roles.owner().await;
    owner.register_model(&model()).await.unwrap();
    owner.insert(&embedded(1, "kept words", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    roles.grant(READER).await;
    let may_not =
        ["to write it lacks INSERT on every table; UPDATE on every table; DELETE on every table; MAINTAIN"];
    for read_only in [true, false] {
        let store = PgMemoryStore::builder(roles.url()).read_only(read_only).connect().await.unwrap();
        read_everything(&store).await;
        store.diagnose().await.unwrap();
        if read_only {
            assert!(matches!(store.vacuum().await, Err(MemoryStoreError::ReadOnly)));
        } else {
            assert_refused(store.insert(&memory(2, "more")).await, &may_not);
            assert_refused(store.delete(id(1)).await, &may_not);
            assert_refused(store.vacuum().await, &may_not);
            assert_refused(store.clear_checkpoint("any").await, &may_not);
        }
        store.close().await;
    }
    owner.close().await;
    roles.drop().await;
}

async fn embed_all(store: &PgMemoryStore) {
    let pending = store.reembedding_pending(None, 100).await.unwrap();
    let vectors: Vec<_> = pending
        .into_iter()
        .map(|memory| ReembeddedMemory {
            id: memory.id,
            updated_at: memory.updated_at,
            embedding: Some(vec![1.0, 0.0, memory.content.len() as f32]),
        })
        .collect();
    store.write_reembedded(&vectors).await.unwrap();
}

/// What one process writes is in the second table that the other built, or is deleted from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_reembeds_while_the_owner_writes() {
    // Of an older version the second table belongs to whoever re-embeds.
    for is_older in [false, true] {
        let Some(roles) = Roles::new().await else { return };
        let owner = roles.owner().await;
        owner.insert(&memory(1, "as it was")).await.unwrap();
        let url = format!("{}?options=-csearch_path%3Dvestige,public", roles.database.url);
        let superuser = PgMemoryStore::connect(&url, 2).await.unwrap();
        superuser.begin_reembedding(&smaller_model()).await.unwrap();
        embed_all(&superuser).await;

        // The switch builds the second table, and does not get its locks.
        let pool = roles.database.pool().await;
        let mut reader = pool.begin().await.unwrap();
        reader.execute("SELECT count(*) FROM vestige.domains").await.unwrap();
        let switching = tokio::spawn({
            let superuser = superuser.clone();
            async move { superuser.finish_reembedding().await }
        });
        let built = "SELECT to_regclass('vestige.knowledge_nodes_next') IS NOT NULL";
        eventually("the second table", || async {
            sqlx::query_scalar::<_, bool>(built).fetch_one(&pool).await.unwrap()
        })
        .await;
        if is_older {
            let older = "ALTER TABLE vestige.knowledge_nodes_next OWNER TO CURRENT_USER;
                GRANT ALL ON vestige.knowledge_nodes_next TO the_owner";
            roles.admin(&older.replace("the_owner", &roles.owner)).await;
        }
        // The same memory at the same time, so that only the deletion from the second table tells it.
        let changed = memory(1, "as it is, and longer");
        owner.delete(id(1)).await.unwrap();
        owner.insert(&changed).await.unwrap();
        reader.rollback().await.unwrap();
        let switched = switching.await.unwrap();
        assert!(matches!(switched, Err(MemoryStoreError::Conflict { .. })), "{switched:?}");
        embed_all(&owner).await;
        superuser.finish_reembedding().await.unwrap();
        let found = owner.get(id(1)).await.unwrap().unwrap();
        assert_eq!(found.content, changed.content, "older: {is_older}");
        assert_eq!(found.embedding, Some(vec![1.0, 0.0, changed.content.len() as f32]));
        for store in [superuser, owner] {
            store.close().await;
        }
        pool.close().await;
        roles.drop().await;
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_built_after_an_analysis_is_built_at_a_later_opening() {
    let Some(roles) = Roles::new().await else { return };
    let owner = roles.owner().await;
    owner.register_model(&model()).await.unwrap();
    owner.insert(&embedded(1, "kept words", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    owner.close().await;
    roles.grant(WRITER).await;
    // A process has taken the index down, analysed half of the memories, and died.
    roles
        .admin(
            "DROP INDEX vestige.idx_knowledge_nodes_embedding_hnsw;
             UPDATE vestige.keyword_analysis SET complete = false;
             INSERT INTO vestige.unanalyzed_memories SELECT id FROM vestige.knowledge_nodes",
        )
        .await;
    let builder = || PgMemoryStore::builder(roles.url());
    let unfinished = builder().read_only(true).connect().await;
    assert!(unfinished.as_ref().is_err_and(MemoryStoreError::is_retryable), "{unfinished:?}");
    // A role that may not build it does the rest, and may search.
    for read_only in [false, true] {
        let store = builder().read_only(read_only).connect().await.unwrap();
        assert_eq!(found(&store.search(&SearchQuery::text("kept")).await.unwrap()), ids([1]));
        assert!(matches!(store.health_check().await.unwrap(), HealthStatus::Degraded { .. }));
        store.close().await;
    }
    let owner = roles.owner().await;
    assert_eq!(owner.health_check().await.unwrap(), HealthStatus::Healthy);
    owner.close().await;
    let pool = roles.database.pool().await;
    let complete = sqlx::query_scalar::<_, bool>("SELECT complete FROM vestige.keyword_analysis");
    assert!(complete.fetch_one(&pool).await.unwrap());
    pool.close().await;
    roles.drop().await;
}
