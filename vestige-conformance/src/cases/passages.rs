use std::fmt::Write as _;

use chrono::TimeDelta;
use vestige_traits::analysis::{AnalyzedDocument, Analyzer, Bm25};
use vestige_traits::stats::Severity;
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{Fusion, MemoryFilter, MemoryRecord, MemoryStore, SearchQuery, SearchResult, limits};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// A text of `count` words of which no two are alike and no question asks, with others in place of those at
/// some places.
fn long_text(count: usize, others: &[(usize, &str)]) -> String {
    let mut text = String::new();
    for n in 0..count {
        let other = others.iter().find(|(at, _)| *at == n).map(|(_, other)| *other);
        let _ = match other {
            Some(other) => write!(text, "{other} "),
            None => write!(text, "wört{n:x} "),
        };
    }
    text
}

async fn fill(bed: &TestBed<impl StoreFactory>, records: impl IntoIterator<Item = MemoryRecord>) {
    let records: Vec<_> = records.into_iter().collect();
    bed.store.insert_batch(&records).await.unwrap();
}

async fn search(bed: &TestBed<impl StoreFactory>, text: &str) -> Vec<SearchResult> {
    bed.store.search(&SearchQuery::text(text)).await.unwrap()
}

async fn hits(bed: &TestBed<impl StoreFactory>, text: &str) -> Vec<uuid::Uuid> {
    found(&search(bed, text).await)
}

/// The text of the passage that was found.
fn shown(result: &SearchResult) -> Option<&str> {
    result.passage.map(|passage| passage.of(&result.record.content))
}

/// Asserts that the results are those of BM25 over all passages of the memories that are in the store.
async fn assert_scored(bed: &TestBed<impl StoreFactory>, records: &[&MemoryRecord], text: &str) {
    let analyzer = Analyzer::default();
    let memories: Vec<Vec<AnalyzedDocument>> = records
        .iter()
        .map(|r| AnalyzedDocument::of_memory(&analyzer, &r.content, &r.node_type, &r.tags).collect())
        .collect();
    let passages: Vec<&AnalyzedDocument> = memories.iter().flatten().collect();
    let total: usize = passages.iter().map(|passage| passage.len()).sum();
    let bm25 = Bm25 { documents: passages.len() as u64, mean_length: total as f64 / passages.len() as f64 };
    let terms = analyzer.query(text).terms;
    let score = |passage: &AnalyzedDocument| -> f64 {
        let parts = terms.iter().map(|term| {
            let holding = passages.iter().filter(|one| one.frequency(&term.text) > 0.0).count();
            let frequency = passage.frequency(&term.text);
            term.weight * bm25.term_score(bm25.idf(holding as u64), frequency, passage.len() as f64)
        });
        parts.sum()
    };
    let results = search(bed, text).await;
    assert!(!results.is_empty());
    for result in &results {
        let at = records.iter().position(|record| record.id == result.record.id).unwrap();
        let scores: Vec<f64> = memories[at].iter().map(score).collect();
        let best = scores.iter().copied().fold(0.0, f64::max);
        assert_close(result.score, Bm25::memory_score(best, scores.len()));
        let number = scores.iter().position(|score| (score - best).abs() < 1e-9).unwrap();
        let range = analyzer.passages(&result.record.content)[number].clone();
        let expected = (scores.len() > 1).then(|| &result.record.content[range]);
        assert_eq!(shown(result), expected);
    }
}

pub async fn the_best_passage_of_a_long_memory_counts(bed: &TestBed<impl StoreFactory>) {
    let together = memory(1, long_text(900, &[(700, "gasket"), (701, "torque")]));
    let apart = memory(2, long_text(900, &[(40, "gasket"), (800, "torque")]));
    let short = memory(3, "gasket torque");
    fill(bed, [together.clone(), apart.clone(), short.clone(), memory(4, "nothing of it")]).await;
    assert_eq!(hits(bed, "gasket torque").await, ids([3, 1, 2]));
    let other = memory(4, "nothing of it");
    assert_scored(bed, &[&together, &apart, &short, &other], "gasket torque").await;
}

pub async fn of_equal_passages_that_of_the_shorter_memory_comes_first(bed: &TestBed<impl StoreFactory>) {
    // Passages of one length, the first of which has the word: more of them are more chances.
    let of = |passages: usize| {
        let rest = (0..48 * (passages + 1) - 1).map(|n| format!("wört{n:x}"));
        let words: Vec<String> = std::iter::once("gasket".to_owned()).chain(rest).collect();
        words.join(" ")
    };
    let memories = [memory(4, of(5)), memory(3, of(8)), memory(2, of(20)), memory(1, of(100))];
    let analyzer = Analyzer::default();
    let counts = memories.each_ref().map(|memory| analyzer.passages(&memory.content).len());
    assert_eq!(counts, [5, 8, 20, 100]);
    fill(bed, memories.clone()).await;
    assert_scored(bed, &memories.each_ref(), "gasket").await;
    let results = search(bed, "gasket").await;
    // Of the same time the lower id comes first where scores are equal: here they are not.
    assert_eq!(found(&results), ids([4, 3, 2, 1]));
    // What was cut comes before, whatever the limit is.
    for limit in 1..=4 {
        let few = bed.store.search(&SearchQuery::text("gasket").limit(limit)).await.unwrap();
        assert_eq!(few, results[..limit]);
    }
    // A memory that has become short has the score of its only passage.
    let short = memory(1, "gasket and ring");
    bed.store.update(&short).await.unwrap();
    let [first, second, third, _] = &memories;
    assert_scored(bed, &[first, second, third, &short], "gasket").await;
    assert_eq!(hits(bed, "gasket").await, ids([1, 4, 3, 2]));
}

pub async fn the_passage_that_was_found_is_shown(bed: &TestBed<impl StoreFactory>) {
    fill(bed, [memory(1, long_text(2000, &[(1500, "gasket")])), memory(2, "a short gasket")]).await;
    let results = search(bed, "gasket").await;
    assert_eq!(found(&results), ids([2, 1]));
    assert_eq!(results[0].passage, None, "a short content is one passage");
    let passage = shown(&results[1]).unwrap();
    assert!(passage.contains("gasket") && passage.chars().count() < 1500, "{passage}");
    let vector = SearchQuery::hybrid("no such word", None);
    assert_eq!(bed.store.search(&vector).await.unwrap(), []);
}

pub async fn every_word_of_the_longest_content_is_found(bed: &TestBed<impl StoreFactory>) {
    let mut text = longest_content();
    text.truncate(limits::MAX_CONTENT_BYTES - 24);
    text.push_str(" gasket");
    text.insert_str(text.len() / 2, " middleword ");
    fill(bed, [memory(1, &text), memory(2, "beside it")]).await;
    for word in ["gasket", "middleword", "\"middleword\""] {
        let results = search(bed, word).await;
        assert_eq!(found(&results), ids([1]), "{word}");
        assert!(shown(&results[0]).unwrap().contains(word.trim_matches('"')), "{word}");
    }
    assert_eq!(hits(bed, "beside -gasket").await, ids([2]));
    assert_eq!(hits(bed, "word -gasket").await, ids([]));
}

pub async fn a_long_memory_is_one_result(bed: &TestBed<impl StoreFactory>) {
    // In many more passages than a leg is deep.
    let crowd = "gasket ".repeat(20_000);
    let others = (2..=30).map(|n| memory(n, format!("gasket {n}")));
    fill(bed, others.chain([memory(1, &crowd)])).await;
    let query = SearchQuery::text("gasket").limit(100).fusion(Fusion::new().depth(100));
    let results = bed.store.search(&query).await.unwrap();
    let mut all = found(&results);
    all.sort();
    assert_eq!(all, ids(1..=30));
    let ranks: Vec<_> = results.iter().map(|result| result.fts_rank).collect();
    assert_eq!(ranks, (1..=30).map(Some).collect::<Vec<_>>());
    let few = bed.store.search(&SearchQuery::text("gasket").limit(3)).await.unwrap();
    assert_eq!(few, results[..3]);
}

pub async fn phrases_and_exclusions_hold_for_all_of_a_long_memory(bed: &TestBed<impl StoreFactory>) {
    let first = memory(1, long_text(900, &[(10, "red lamp"), (800, "blue chair")]));
    let second = memory(2, long_text(900, &[(10, "red chair"), (800, "blue lamp")]));
    fill(bed, [first, second, memory(3, "red lamp and blue chair"), memory(4, "lamp")]).await;
    let sorted = |mut ids: Vec<uuid::Uuid>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(hits(bed, "\"red lamp\"").await), ids([1, 3]));
    assert_eq!(sorted(hits(bed, "\"red lamp\" \"blue chair\"").await), ids([1, 3]));
    assert_eq!(sorted(hits(bed, "\"lamp blue\"").await), ids([]));
    let quoted = |from: usize, to: usize| -> String {
        let words: Vec<String> = (from..to).map(|n| format!("wört{n:x}")).collect();
        format!("\"{}\"", words.join(" "))
    };
    assert_eq!(sorted(hits(bed, &quoted(100, 700)).await), ids([1, 2]), "over many passages");
    assert_eq!(sorted(hits(bed, &format!("{} {}", quoted(100, 300), quoted(5, 12))).await), ids([]));
    assert_eq!(sorted(hits(bed, "lamp -chair").await), ids([4]));
    assert_eq!(sorted(hits(bed, "lamp -\"blue chair\"").await), ids([2, 4]));
    assert_eq!(sorted(hits(bed, "blue -\"blue chair\" \"red chair\"").await), ids([2]));
}

pub async fn the_filter_holds_for_long_memories(bed: &TestBed<impl StoreFactory>) {
    let text = long_text(600, &[(500, "gasket")]);
    let long = |n, codebase: &str| memory(n, &text).codebase(codebase).tags(["pumps"]);
    fill(bed, [long(1, "atlas"), long(2, "tidewater"), memory(3, "gasket").codebase("atlas")]).await;
    let query = SearchQuery::text("gasket").filter(MemoryFilter::new().codebases(["atlas"]));
    assert_eq!(found(&bed.store.search(&query).await.unwrap()), ids([3, 1]));
    let query = SearchQuery::text("gasket").filter(MemoryFilter::new().tags(["pumps"]));
    let mut all = found(&bed.store.search(&query).await.unwrap());
    all.sort();
    assert_eq!(all, ids([1, 2]));
}

pub async fn type_and_tags_are_found_in_every_passage(bed: &TestBed<impl StoreFactory>) {
    let tagged = memory(1, long_text(600, &[(500, "gasket")])).tags(["runbook"]).node_type("pump procedure");
    let untagged = memory(2, long_text(600, &[(500, "gasket")]));
    fill(bed, [tagged.clone(), untagged.clone()]).await;
    for text in ["gasket runbook", "gasket procedure", "runbook"] {
        assert_scored(bed, &[&tagged, &untagged], text).await;
        assert_eq!(search(bed, text).await[0].record.id, id(1), "{text}");
    }
}

pub async fn passages_follow_every_change(bed: &TestBed<impl StoreFactory>) {
    let long = |others: &[(usize, &str)]| memory(1, long_text(900, others));
    let filler = memory(2, "valve");
    fill(bed, [long(&[(850, "gasket")]), filler.clone()]).await;
    assert_eq!(hits(bed, "gasket").await, ids([1]));
    // Other words, fewer passages, more of them, one.
    for (count, at) in [(900, 850), (300, 10), (2000, 1999), (20, 10)] {
        let changed = memory(1, long_text(count, &[(at, "torque")]));
        bed.store.update(&changed).await.unwrap();
        assert_eq!(hits(bed, "gasket").await, ids([]));
        assert_eq!(hits(bed, "torque").await, ids([1]));
        assert_scored(bed, &[&changed, &filler], "torque").await;
        assert_scored(bed, &[&changed, &filler], "valve").await;
        assert_eq!(bed.store.count().await.unwrap(), 2);
    }
    bed.store.update(&long(&[(850, "gasket")])).await.unwrap();
    bed.store.delete(id(1)).await.unwrap();
    assert_eq!(hits(bed, "gasket").await, ids([]));
    assert_scored(bed, &[&filler], "valve").await;
}

pub async fn passages_come_along_with_a_transfer(bed: &TestBed<impl StoreFactory>) {
    let long = memory(1, long_text(900, &[(850, "gasket")]));
    let filler = memory(2, "valve");
    let rows = [&long, &filler].map(|record| TransferRow::Memory(record.clone()));
    let report = bed.store.import_page(&rows, None).await.unwrap();
    assert_eq!(report.inserted, 2);
    assert_scored(bed, &[&long, &filler], "gasket").await;
    assert_eq!(bed.store.count_rows(TransferKind::Memory).await.unwrap(), 2);
    bed.store.rebuild_indexes().await.unwrap();
    assert_scored(bed, &[&long, &filler], "gasket").await;
    let findings = bed.store.diagnose().await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity < Severity::Error), "{findings:?}");
}

pub async fn what_comes_in_from_a_session_has_no_passage(bed: &TestBed<impl StoreFactory>) {
    let said = |n, text: String| memory(n, text).session("talk");
    let neighbour = said(2, long_text(600, &[])).created_at(now() + TimeDelta::seconds(1));
    fill(bed, [said(1, long_text(600, &[(500, "gasket")])), neighbour]).await;
    let results = search(bed, "gasket").await;
    assert_eq!(found(&results), ids([1, 2]));
    assert!(shown(&results[0]).unwrap().contains("gasket"));
    assert_eq!(results[1].passage, None);
}
