use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vestige_traits::{
    MemoryRecord, MemoryStore, MemoryStoreError, MemoryStoreResult, SearchMode, SearchQuery,
};

use crate::error::{MigrateError, MigrateResult};
use crate::progress::{Phase, Reporter};

/// How many results of each search are compared.
const TOP: usize = 10;
/// How long searches are compared. On a large store without much memory one search may take a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many words of a memory a keyword search asks for.
const WORDS: usize = 6;

/// How far both sides gave the same answers to the same searches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SearchAgreement {
    /// How was searched.
    pub mode: SearchMode,
    /// How many searches both sides answered.
    pub searches: u64,
    /// How many a side could not answer, because a row that it cannot read stood in the way.
    pub failed: u64,
    /// How many of them gave the same top 10 in the same order.
    pub identical: u64,
    /// The mean share of the top 10 that both sides have in common, 0 to 1; 1 where nothing was searched.
    pub mean_overlap: f64,
    /// The smallest share.
    pub least_overlap: f64,
}

/// The modes, in the order in which reports list them.
const MODES: [SearchMode; 3] = [SearchMode::Keyword, SearchMode::Vector, SearchMode::Hybrid];

/// The search that a memory suggests; none if it has no words, or no vector, and the mode needs it.
fn query(mode: SearchMode, record: &MemoryRecord) -> Option<SearchQuery> {
    let text = mode.ranks_by_words().then(|| words(&record.content));
    let embedding = if mode.ranks_by_vector() { Some(record.embedding.clone()?) } else { None };
    if text.as_deref() == Some("") {
        return None;
    }
    let mut query = SearchQuery::default().limit(TOP).mode(mode);
    (query.text, query.embedding) = (text, embedding);
    Some(query)
}

/// Some of the words of a text, longer ones first, as a person would pick them to find it again.
fn words(content: &str) -> String {
    let mut words: Vec<&str> = content
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(200)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    words.truncate(WORDS);
    words.join(" ")
}

/// What was found so far in one mode.
#[derive(Default)]
struct Tally {
    identical: u64,
    failed: u64,
    overlaps: Vec<f64>,
}

/// Asks both sides what the memories of the sample suggest, for [`PATIENCE`] at most.
pub(crate) async fn compare_searches(
    source: &(impl MemoryStore + Sync),
    target: &(impl MemoryStore + Sync),
    sample: &[MemoryRecord],
    reporter: &mut Reporter<'_>,
) -> MigrateResult<Vec<SearchAgreement>> {
    let began = Instant::now();
    let mut tallies = MODES.map(|mode| (mode, Tally::default()));
    for (done, record) in sample.iter().enumerate() {
        reporter.report(Phase::Searching, done as u64, sample.len() as u64);
        if began.elapsed() > PATIENCE {
            tracing::info!(done, wanted = sample.len(), "searches take long here, so fewer are compared");
            break;
        }
        for (mode, tally) in &mut tallies {
            let Some(query) = query(*mode, record) else { continue };
            let ours = top(source, &query).await.map_err(MigrateError::Source)?;
            let theirs = top(target, &query).await.map_err(MigrateError::Target)?;
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => {
                    tally.identical += u64::from(ours == theirs);
                    tally.overlaps.push(overlap(&ours, &theirs));
                }
                _ => tally.failed += 1,
            }
        }
    }
    Ok(tallies.into_iter().map(|(mode, tally)| tally.agreement(mode)).collect())
}

impl Tally {
    fn agreement(self, mode: SearchMode) -> SearchAgreement {
        let searches = self.overlaps.len();
        let mean = self.overlaps.iter().sum::<f64>() / searches as f64;
        SearchAgreement {
            mode,
            searches: searches as u64,
            failed: self.failed,
            identical: self.identical,
            mean_overlap: if searches == 0 { 1.0 } else { mean },
            least_overlap: self.overlaps.into_iter().fold(1.0, f64::min),
        }
    }
}

/// What is found first; none if a damaged row stood in the way.
async fn top(store: &(impl MemoryStore + Sync), query: &SearchQuery) -> MemoryStoreResult<Option<Vec<Uuid>>> {
    match store.search(query).await {
        Ok(hits) => Ok(Some(hits.into_iter().map(|hit| hit.record.id).collect())),
        Err(MemoryStoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn overlap(ours: &[Uuid], theirs: &[Uuid]) -> f64 {
    let most = ours.len().max(theirs.len());
    if most == 0 {
        return 1.0;
    }
    ours.iter().filter(|id| theirs.contains(id)).count() as f64 / most as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_made_of_the_long_words_of_a_text() {
        assert_eq!(
            words("The -staging \"database\" listens on port 5433."),
            "database listens staging 5433 port The"
        );
        assert_eq!(words("?! …"), "");
    }

    #[test]
    fn overlap_is_the_share_that_both_have() {
        let ids: Vec<Uuid> = (0..4).map(Uuid::from_u128).collect();
        assert_eq!(overlap(&ids[..2], &ids[..4]), 0.5);
        assert_eq!(overlap(&[], &[]), 1.0);
        assert_eq!(overlap(&ids[..1], &[]), 0.0);
    }
}
