//! A filter as the parameters of a statement.

use chrono::{DateTime, Utc};
use vestige_traits::backend::elapsed_stabilities;
use vestige_traits::{MemoryFilter, limits};

/// A filter as the parameters of a statement. Null: no condition.
pub(crate) struct Filter<'q> {
    pub(crate) domains: Option<&'q [String]>,
    pub(crate) tags: Option<&'q [String]>,
    pub(crate) node_types: Option<&'q [String]>,
    pub(crate) codebases: Option<&'q [String]>,
    pub(crate) sessions: Option<&'q [String]>,
    pub(crate) created_from: Option<DateTime<Utc>>,
    pub(crate) created_before: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) elapsed_stabilities: Option<f64>,
}

impl<'q> Filter<'q> {
    pub(crate) fn new(filter: &'q MemoryFilter, now: DateTime<Utc>) -> Self {
        fn any(list: &[String]) -> Option<&[String]> {
            (!list.is_empty()).then_some(list)
        }
        Self {
            domains: any(&filter.domains),
            tags: any(&filter.tags),
            node_types: any(&filter.node_types),
            codebases: any(&filter.codebases),
            sessions: any(&filter.sessions),
            created_from: filter.created_from.map(limits::to_micros),
            created_before: filter.created_before.map(limits::to_micros),
            now,
            elapsed_stabilities: filter.min_retrievability.map(elapsed_stabilities),
        }
    }

    /// Whether the code bases are the only condition.
    pub(crate) fn is_of_codebases_alone(&self) -> bool {
        matches!(
            self,
            Self {
                codebases: Some(_),
                domains: None,
                tags: None,
                node_types: None,
                sessions: None,
                created_from: None,
                created_before: None,
                now: _,
                elapsed_stabilities: None,
            }
        )
    }
}

/// A checked query whose parameters are those before the filter, the filter's own, those after it, and the
/// filter's sessions. Every statement with a filter is bound here, so that a new condition gets its parameter
/// in all of them.
macro_rules! query_with_filter {
    ($query:ident!($($of:tt),+), [$($before:expr),* $(,)?], $filter:expr, [$($after:expr),* $(,)?] $(,)?) => {
        sqlx::$query!(
            $($of,)+
            $($before,)*
            $filter.domains,
            $filter.tags,
            $filter.node_types,
            $filter.codebases,
            $filter.created_from,
            $filter.created_before,
            $filter.now,
            $filter.elapsed_stabilities,
            $($after,)*
            $filter.sessions,
        )
    };
}

pub(crate) use query_with_filter;

#[cfg(test)]
mod tests {
    /// The conditions of a filter in a statement, without the numbers of their parameters.
    fn filters(sql: &str) -> Vec<String> {
        let words: Vec<_> = sql.split_whitespace().collect();
        let plain = words.join(" ").replace(|c: char| c.is_ascii_digit(), "");
        let (begin, end) = ("($::text[] IS NULL OR n.domains && $)", "> s.stability * $ ))");
        let found = plain.split(begin).skip(1);
        found.map(|rest| rest[..rest.find(end).unwrap_or(rest.len())].to_owned()).collect()
    }

    /// A condition that is missing in one place lets one way of searching find what another hides.
    #[test]
    fn every_statement_has_the_same_filter() {
        let search = filters(include_str!("sql/search.sql"));
        assert_eq!(search.len(), 3);
        for sql in
            [include_str!("sql/list.sql"), include_str!("sql/estimate.sql"), include_str!("sql/around.sql")]
        {
            let alone = filters(sql);
            assert_eq!(alone.len(), 1);
            assert!(search.iter().all(|filter| *filter == alone[0]), "{search:#?} and {alone:#?}");
        }
    }
}
