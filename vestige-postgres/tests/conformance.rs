//! The suite that every backend passes, on a real server.

mod common;

use common::Postgres;

vestige_conformance::conformance_tests!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    Postgres
);
