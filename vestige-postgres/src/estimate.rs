//! How many memories the server's planner estimates a filter to let through, remembered for a moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use vestige_traits::{MemoryFilter, MemoryStoreResult};

use crate::connection::Connections;
use crate::error;
use crate::filter::{Filter, query_with_filter};
use crate::session::Session;

/// How long an estimate is used. It decides by which index a search goes, not what is found; and the server
/// renews its own statistics once a minute at most.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// How many filters are remembered.
const CAPACITY: usize = 64;

/// How many of all memories a filter is estimated to let through.
#[derive(Clone, Copy)]
pub(crate) struct Estimate {
    /// At least 1. Only memories with a vector are counted.
    pub(crate) matching: f64,
    pub(crate) memories: f64,
}

/// What a handle remembers of the store for its next searches.
#[derive(Default)]
pub(crate) struct Estimates {
    /// Of filters, oldest first.
    filters: Mutex<Vec<(Instant, MemoryFilter, Estimate)>>,
    /// Whether a search has seen that a memory is part of a session.
    sessions: AtomicBool,
}

impl Estimates {
    /// Whether a search has seen that a memory is part of a session.
    pub(crate) fn have_seen_a_session(&self) -> bool {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn see_a_session(&self) {
        self.sessions.store(true, Ordering::Relaxed);
    }

    /// The estimate for a filter: the remembered one, or the server's.
    pub(crate) async fn of(
        &self,
        connections: &Connections,
        filter: &MemoryFilter,
        parameters: &Filter<'_>,
    ) -> MemoryStoreResult<Estimate> {
        if let Some(estimate) = self.get(filter) {
            return Ok(estimate);
        }
        let estimate = matching(&mut connections.reader().await?, parameters).await?;
        self.keep(filter, estimate);
        Ok(estimate)
    }

    fn get(&self, filter: &MemoryFilter) -> Option<Estimate> {
        let mut kept = self.kept();
        kept.retain(|(asked, ..)| asked.elapsed() < KEPT_FOR);
        kept.iter().find(|(_, of, _)| of == filter).map(|(.., estimate)| *estimate)
    }

    fn keep(&self, filter: &MemoryFilter, estimate: Estimate) {
        let mut kept = self.kept();
        kept.retain(|(_, of, _)| of != filter);
        if kept.len() == CAPACITY {
            kept.remove(0);
        }
        kept.push((Instant::now(), filter.clone(), estimate));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Instant, MemoryFilter, Estimate)>> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the server for its estimate of a filter, from its statistics. `EXPLAIN` plans for its parameters each
/// time, also where the session keeps plans.
pub(crate) async fn matching(session: &mut Session, filter: &Filter<'_>) -> MemoryStoreResult<Estimate> {
    let plan: Option<Value> = query_with_filter!(query_file_scalar!("src/sql/estimate.sql"), [], filter, [])
        .fetch_one(&mut *session)
        .await
        .map_err(error::map)?;
    let rows = plan.as_ref().and_then(|plan| plan.pointer("/0/Plan/Plan Rows")).and_then(Value::as_f64);
    let matching = rows.ok_or_else(|| error::damaged("the server's plan", "it has no estimate of rows"))?;
    Ok(Estimate { matching: matching.max(1.0), memories: memories(session).await? })
}

/// How many memories there are, by the counts of keyword ranking.
pub(crate) async fn memories(session: &mut Session) -> MemoryStoreResult<f64> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(documents - passages), 0)::float8 AS "memories!" FROM keyword_totals"#
    )
    .fetch_one(session)
    .await
    .map_err(error::map)
}

/// How many documents keyword ranking counts: each passage of a memory is one.
pub(crate) async fn documents(session: &mut Session) -> MemoryStoreResult<f64> {
    sqlx::query_scalar!(r#"SELECT coalesce(sum(documents), 0)::float8 AS "documents!" FROM keyword_totals"#)
        .fetch_one(session)
        .await
        .map_err(error::map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(codebase: usize) -> MemoryFilter {
        MemoryFilter::new().codebases([codebase.to_string()])
    }

    #[test]
    fn the_oldest_estimate_is_forgotten_first() {
        let estimates = Estimates::default();
        let estimate = |matching| Estimate { matching, memories: 1000.0 };
        for n in 0..CAPACITY {
            estimates.keep(&of(n), estimate(n as f64));
        }
        estimates.keep(&of(0), estimate(100.0));
        estimates.keep(&of(CAPACITY), estimate(200.0));
        let known = |n| estimates.get(&of(n)).map(|estimate| estimate.matching);
        assert_eq!((known(0), known(1), known(2)), (Some(100.0), None, Some(2.0)));
        assert_eq!(known(CAPACITY), Some(200.0));
        assert!(estimates.get(&MemoryFilter::default()).is_none());
    }
}
