use chrono::{DateTime, Utc};
use vestige_traits::reembed::{PendingMemory, ReembeddingStatus};
use vestige_traits::scheduling::DueMemory;
use vestige_traits::stats::StoreStats;
use vestige_traits::transfer::{ImportReport, TransferPage};
use vestige_traits::{DomainScore, ListPage, MemoryStoreError, Neighbor, SearchResult, SessionContext};

/// What a store said.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Time(DateTime<Utc>),
    Count(u64),
    Found(Vec<SearchResult>),
    Listed(ListPage),
    Contexts(Vec<SessionContext>),
    Due(Vec<DueMemory>),
    Neighbors(Vec<Neighbor>),
    Scores(Vec<DomainScore>),
    Imported(ImportReport),
    Status(Option<ReembeddingStatus>),
    Pending(Vec<PendingMemory>),
    Rows(TransferPage),
    Stats(Box<StoreStats>),
    /// Anything else that is compared by its text.
    Text(String),
    Failed(MemoryStoreError),
    /// An error where several reasons may apply and the contract does not say which comes first.
    Refused,
}

impl Answer {
    /// Whether two stores said the same. Errors agree by kind and field, scores within their rounding.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Done, Self::Done) | (Self::Refused, Self::Refused) => true,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Count(a), Self::Count(b)) => a == b,
            (Self::Found(a), Self::Found(b)) => all(a, b, same_result),
            (Self::Listed(a), Self::Listed(b)) => a == b,
            (Self::Contexts(a), Self::Contexts(b)) => a == b,
            (Self::Due(a), Self::Due(b)) => a == b,
            (Self::Neighbors(a), Self::Neighbors(b)) => {
                all(a, b, |a, b| a.record == b.record && a.hops == b.hops && close(a.score, b.score))
            }
            (Self::Scores(a), Self::Scores(b)) => {
                all(a, b, |a, b| a.domain == b.domain && close(a.score, b.score))
            }
            (Self::Imported(a), Self::Imported(b)) => a == b,
            (Self::Status(a), Self::Status(b)) => a == b,
            (Self::Pending(a), Self::Pending(b)) => a == b,
            (Self::Rows(a), Self::Rows(b)) => a == b,
            (Self::Stats(a), Self::Stats(b)) => same_stats(a, b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Failed(a), Self::Failed(b)) => same_error(a, b),
            _ => false,
        }
    }
}

fn all<T>(a: &[T], b: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 2e-9
}

fn same_result(a: &SearchResult, b: &SearchResult) -> bool {
    let same_score = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => close(a, b),
        (a, b) => a == b,
    };
    a.record == b.record
        && close(a.score, b.score)
        && same_score(a.fts_score, b.fts_score)
        && same_score(a.vector_score, b.vector_score)
        && (a.fts_rank, a.vector_rank, a.passage) == (b.fts_rank, b.vector_rank, b.passage)
}

fn same_stats(a: &StoreStats, b: &StoreStats) -> bool {
    let comparable = |stats: &StoreStats| StoreStats {
        backend: String::new(),
        size_bytes: 0,
        schema_version: 0,
        ..stats.clone()
    };
    comparable(a) == comparable(b)
}

fn same_error(a: &MemoryStoreError, b: &MemoryStoreError) -> bool {
    match (a, b) {
        (
            MemoryStoreError::InvalidInput { field: a, .. },
            MemoryStoreError::InvalidInput { field: b, .. },
        ) => a == b,
        (
            MemoryStoreError::ModelMismatch { registered: a, .. },
            MemoryStoreError::ModelMismatch { registered: b, .. },
        ) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}
