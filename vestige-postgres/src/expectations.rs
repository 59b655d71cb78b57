//! What the server expects filters to let through, remembered for a moment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use vestige_traits::{MemoryFilter, MemoryStoreResult};

use crate::error;
use crate::search::Filter;
use crate::session::Session;
use crate::store::PgMemoryStore;

/// How long an expectation is good for. It decides by which way a search goes, not what is found; and the server's own
/// statistics are renewed once in a minute at most.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many filters are remembered.
const MOST: usize = 64;

/// How many memories the server expects a filter to let through, of how many.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    /// At least 1, and with a vector.
    pub(crate) matching: f64,
    pub(crate) memories: f64,
}

/// The expectations of a handle, oldest first.
#[derive(Default)]
pub(crate) struct Expectations(Mutex<Vec<(Instant, MemoryFilter, Expected)>>);

impl Expectations {
    fn get(&self, filter: &MemoryFilter) -> Option<Expected> {
        let mut kept = self.kept();
        kept.retain(|(asked, ..)| asked.elapsed() < KEPT_FOR);
        kept.iter().find(|(_, of, _)| of == filter).map(|(.., expected)| *expected)
    }

    fn keep(&self, filter: &MemoryFilter, expected: Expected) {
        let mut kept = self.kept();
        kept.retain(|(_, of, _)| of != filter);
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push((Instant::now(), filter.clone(), expected));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Instant, MemoryFilter, Expected)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PgMemoryStore {
    /// What the server expects of a filter, or expected a moment ago.
    pub(crate) async fn expected(
        &self,
        filter: &MemoryFilter,
        parameters: &Filter<'_>,
    ) -> MemoryStoreResult<Expected> {
        if let Some(expected) = self.expectations().get(filter) {
            return Ok(expected);
        }
        let expected = ask(&mut self.connection().await?, parameters).await?;
        self.expectations().keep(filter, expected);
        Ok(expected)
    }
}

/// Asks the server what it expects of a filter, by its statistics. `EXPLAIN` plans for its parameters each time, whatever
/// the session keeps plans for.
pub(crate) async fn ask(connection: &mut Session, filter: &Filter<'_>) -> MemoryStoreResult<Expected> {
    let plan: Option<Value> = sqlx::query_file_scalar!(
        "src/sql/estimate.sql",
        filter.domains,
        filter.tags,
        filter.node_types,
        filter.codebases,
        filter.created_from,
        filter.created_before,
        filter.now,
        filter.elapsed_stabilities,
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(error::of)?;
    let rows = plan.as_ref().and_then(|plan| plan.pointer("/0/Plan/Plan Rows")).and_then(Value::as_f64);
    let matching = rows.ok_or_else(|| error::damaged("the server's plan", "it has no estimate of rows"))?;
    Ok(Expected { matching: matching.max(1.0), memories: memories(connection).await? })
}

/// How many memories there are, as keyword ranking counts them.
pub(crate) async fn memories(connection: &mut Session) -> MemoryStoreResult<f64> {
    sqlx::query_scalar!(r#"SELECT coalesce(sum(documents), 0)::float8 AS "memories!" FROM keyword_totals"#)
        .fetch_one(connection)
        .await
        .map_err(error::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codebase: usize) -> MemoryFilter {
        MemoryFilter { codebases: vec![codebase.to_string()], ..MemoryFilter::default() }
    }

    #[test]
    fn the_oldest_expectation_makes_room() {
        let expectations = Expectations::default();
        let expected = |matching| Expected { matching, memories: 1000.0 };
        for n in 0..MOST {
            expectations.keep(&of(n), expected(n as f64));
        }
        expectations.keep(&of(0), expected(100.0));
        expectations.keep(&of(MOST), expected(200.0));
        let known = |n| expectations.get(&of(n)).map(|expected| expected.matching);
        assert_eq!((known(0), known(1), known(2)), (Some(100.0), None, Some(2.0)));
        assert_eq!(known(MOST), Some(200.0));
        assert!(expectations.get(&MemoryFilter::default()).is_none());
    }
}
