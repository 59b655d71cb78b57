//! The counts behind keyword ranking, of which each server process that wrote has one.

mod common;

use common::TestDatabase;
use sqlx::Executor;
use uuid::Uuid;
use vestige_conformance::fixtures::memory;
use vestige_traits::MemoryStore;
use vestige_traits::stats::Severity;

#[tokio::test]
async fn the_counts_of_many_processes_are_folded_by_the_way() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.builder().max_connections(1).connect().await.unwrap();
    let pool = database.pool().await;
    store.insert(&memory(1, "two words")).await.unwrap();
    // As many processes that wrote one memory and ended: the number of a process is the key.
    pool.execute(
        "INSERT INTO keyword_totals SELECT -n, n % 2, 2 * (n % 2) FROM generate_series(1, 2000) AS n",
    )
    .await
    .unwrap();
    pool.execute(
        "UPDATE keyword_totals SET documents = documents - 1000, terms = terms - 2000 WHERE backend = -1",
    )
    .await
    .unwrap();
    let rows = async || -> (i64, i64) {
        let counted = "SELECT count(*), sum(documents)::int8 FROM keyword_totals";
        sqlx::query_as(counted).fetch_one(&pool).await.unwrap()
    };
    store.insert(&memory(1001, "no lot")).await.unwrap();
    assert_eq!(rows().await, (2001, 2));
    // Every thousandth id draws the lot.
    let lot = memory(1002, "one more").id(Uuid::from_u128(2000));
    store.insert(&lot).await.unwrap();
    let (left, documents) = rows().await;
    assert!(left <= 2, "{left} rows are left");
    assert_eq!(documents, 3);
    let findings = store.diagnose().await.unwrap();
    let index = findings.iter().find(|finding| finding.subject == "keyword index").unwrap();
    assert_eq!(index.severity, Severity::Ok, "{index:?}");
    store.close().await;
    pool.close().await;
    database.drop().await;
}
