//! What each of the server's error codes means to the caller: raised by the server itself, on a write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::error::Error;

use common::TestDatabase;
use sqlx::{AssertSqlSafe, Executor};
use vestige_conformance::fixtures::memory;
use vestige_traits::{MemoryStore, MemoryStoreError};

#[derive(Debug, PartialEq)]
enum Kind {
    /// An error of the server, and whether trying again can help.
    Postgres(bool),
    /// The store cannot be used, and whether trying again can help.
    Unavailable(bool),
    AlreadyExists,
    Damaged,
    InvalidInput,
    ModelNotRegistered,
    NotFound,
    ReadOnly,
}

fn kind(error: &MemoryStoreError) -> Kind {
    match error {
        MemoryStoreError::Backend { name: "postgres", retryable, .. } => Kind::Postgres(*retryable),
        MemoryStoreError::Unavailable { retryable, .. } => Kind::Unavailable(*retryable),
        MemoryStoreError::AlreadyExists { .. } => Kind::AlreadyExists,
        MemoryStoreError::Damaged { .. } => Kind::Damaged,
        MemoryStoreError::InvalidInput { .. } => Kind::InvalidInput,
        MemoryStoreError::ModelNotRegistered => Kind::ModelNotRegistered,
        MemoryStoreError::NotFound { .. } => Kind::NotFound,
        MemoryStoreError::ReadOnly => Kind::ReadOnly,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_code_that_matters_has_a_meaning_of_its_own() {
    let Some(database) = TestDatabase::new().await else { return };
    let (store, pool) = (database.store().await, database.pool().await);
    pool.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'")
        .await
        .unwrap();
    pool.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON knowledge_nodes FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .await
    .unwrap();
    for (code, expected) in [
        ("08006", Kind::Postgres(true)),     // connection failure
        ("22021", Kind::InvalidInput),       // character not in repertoire
        ("22P05", Kind::InvalidInput),       // untranslatable character
        ("23503", Kind::NotFound),           // foreign key violation
        ("23505", Kind::AlreadyExists),      // unique violation
        ("23514", Kind::Postgres(false)),    // check violation: nothing that a store should meet
        ("25006", Kind::ReadOnly),           // read-only transaction
        ("25P03", Kind::Postgres(true)),     // idle in transaction for too long
        ("25P04", Kind::Unavailable(true)),  // transaction timeout
        ("26000", Kind::Unavailable(false)), // prepared statement missing
        ("28000", Kind::Unavailable(false)), // invalid authorization
        ("28P01", Kind::Unavailable(false)), // invalid password
        ("3D000", Kind::Unavailable(false)), // no such database
        ("40001", Kind::Postgres(true)),     // serialization failure
        ("40P01", Kind::Postgres(true)),     // deadlock
        ("42501", Kind::Unavailable(false)), // insufficient privilege
        ("42P01", Kind::Damaged),            // undefined table
        ("42P05", Kind::Unavailable(false)), // prepared statement there already
        ("53100", Kind::Unavailable(false)), // disk full
        ("53200", Kind::Unavailable(true)),  // out of memory
        ("53300", Kind::Unavailable(true)),  // too many connections
        ("53400", Kind::Unavailable(false)), // configuration limit exceeded
        ("55P03", Kind::Unavailable(true)),  // lock not available
        ("57014", Kind::Unavailable(true)),  // query canceled
        ("57P01", Kind::Postgres(true)),     // admin shutdown
        ("57P02", Kind::Postgres(true)),     // crash shutdown
        ("57P03", Kind::Unavailable(true)),  // cannot connect now
        ("57P04", Kind::Unavailable(false)), // database dropped
        ("57P05", Kind::Postgres(true)),     // idle for too long
        ("VS002", Kind::ModelNotRegistered), // the schema's own
        ("VS003", Kind::Unavailable(false)), // the schema's own
        ("XX001", Kind::Damaged),            // data corrupted
        ("XX002", Kind::Damaged),            // index corrupted
        ("P0001", Kind::Postgres(false)),    // anything else
    ] {
        let raise = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION 'refused with %', '{code}' USING ERRCODE = '{code}'; END$$"
        );
        pool.execute(AssertSqlSafe(raise)).await.unwrap();
        let one = store.insert(&memory(1, "refused")).await.expect_err(code);
        let batch = store.insert_batch(&[memory(1, "refused")]).await.expect_err(code);
        for error in [one, batch] {
            assert_eq!(kind(&error), expected, "{code}: {error:?}");
            let retryable = matches!(expected, Kind::Postgres(true) | Kind::Unavailable(true));
            assert_eq!(error.is_retryable(), retryable, "{code}");
            assert!(!error.to_string().contains('\n'), "{code}: {error}");
            if matches!(expected, Kind::Postgres(_) | Kind::Unavailable(_) | Kind::Damaged) {
                let said = error.source().unwrap().to_string();
                assert_eq!(said, format!("refused with {code}"), "the server's words and no others");
                let causes = std::iter::successors(error.source(), |cause| (*cause).source());
                let source = causes.filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).next();
                let found = source.and_then(sqlx::Error::as_database_error).and_then(|error| error.code());
                assert_eq!(found.as_deref(), Some(code), "the driver's error stays behind it: {error:?}");
            }
        }
        assert_eq!(store.count().await.unwrap(), 0, "{code}");
    }
    store.close().await;
    pool.close().await;
    database.drop().await;
}
