use vestige_traits::analysis::{AnalyzedDocument, Analyzer, Bm25};
use vestige_traits::{MemoryRecord, MemoryStore, SearchQuery, limits};

use crate::fixtures::*;
use crate::hostile::hostile_queries;
use crate::{StoreFactory, TestBed};

async fn fill(bed: &TestBed<impl StoreFactory>, contents: &[&str]) {
    let records: Vec<_> = (1..).zip(contents).map(|(n, content)| memory(n, content.to_owned())).collect();
    bed.store.insert_batch(&records).await.unwrap();
}

async fn hits(bed: &TestBed<impl StoreFactory>, text: &str) -> Vec<uuid::Uuid> {
    found(&bed.store.search(&SearchQuery::text(text).limit(1000)).await.unwrap())
}

pub async fn any_term_may_match(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["the red lamp", "a green lamp", "a green chair", "nothing of it"]).await;
    assert_eq!(hits(bed, "lamp of green glass").await, ids([2, 3, 1]));
}

pub async fn a_rare_term_counts_for_more(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["valve torque", "valve seat", "valve seat", "valve seat", "pump torque", "pump seal"]).await;
    let results = hits(bed, "valve torque").await;
    assert_eq!(results[0], id(1));
    assert_eq!(results[1], id(5), "torque is rarer than valve");
}

pub async fn a_short_memory_ranks_above_a_long_one(bed: &TestBed<impl StoreFactory>) {
    let long = format!("gasket {}", "filler words that dilute ".repeat(20));
    fill(bed, &[&long, "gasket", "unrelated", "also unrelated"]).await;
    assert_eq!(hits(bed, "gasket").await, ids([2, 1]));
}

pub async fn the_score_is_bm25_over_the_three_fields(bed: &TestBed<impl StoreFactory>) {
    let mut records: Vec<MemoryRecord> = (1..)
        .zip([
            "the pump leaks oil",
            "oil filter",
            "replace the pump",
            "grease the bearing",
            "check belts, chains",
        ])
        .map(|(n, content)| memory(n, content))
        .collect();
    records[1].tags = vec!["pump".to_owned(), "oil oil".to_owned()];
    records[2].node_type = "pump procedure".to_owned();
    bed.store.insert_batch(&records).await.unwrap();

    let analyzer = Analyzer::default();
    let documents: Vec<_> = records
        .iter()
        .flat_map(|r| AnalyzedDocument::of_memory(&analyzer, &r.content, &r.node_type, &r.tags))
        .collect();
    let total: usize = documents.iter().map(AnalyzedDocument::len).sum();
    let bm25 = Bm25 { documents: 5, mean_length: total as f64 / 5.0 };
    let results = bed.store.search(&SearchQuery::text("oil pump")).await.unwrap();
    assert_eq!(results.len(), 3);
    for (rank, result) in (1..).zip(&results) {
        let at = records.iter().position(|record| record.id == result.record.id).unwrap();
        let expected: f64 = ["oil", "pump"]
            .iter()
            .map(|term| {
                let n = documents.iter().filter(|document| document.frequency(term) > 0.0).count();
                let document = &documents[at];
                bm25.term_score(bm25.idf(n as u64), document.frequency(term), document.len() as f64)
            })
            .sum();
        assert_close(result.score, expected);
        assert_eq!(result.fts_score, Some(result.score));
        assert_eq!((result.fts_rank, result.vector_score, result.vector_rank), (Some(rank), None, None));
    }
    assert!(results.is_sorted_by(|a, b| a.score >= b.score));
}

pub async fn content_type_and_tags_are_searched(bed: &TestBed<impl StoreFactory>) {
    let mut typed = memory(2, "no such word");
    typed.node_type = "runbook".to_owned();
    let mut tagged = memory(3, "no such word");
    tagged.tags = vec!["other".to_owned(), "runbooks".to_owned()];
    let mut elsewhere = memory(4, "no such word");
    elsewhere.codebase = Some("runbook".to_owned());
    elsewhere.metadata = serde_json::json!({"runbook": "runbook"});
    elsewhere.domains = vec!["runbook".to_owned()];
    bed.store.insert_batch(&[memory(1, "a runbook"), typed, tagged, elsewhere]).await.unwrap();
    let mut results = hits(bed, "runbook").await;
    results.sort();
    assert_eq!(results, ids([1, 2, 3]));
}

pub async fn words_match_by_their_stem(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["He was connecting the pipes", "Connections leaked", "a connector"]).await;
    let mut results = hits(bed, "connected pipe").await;
    results.sort();
    assert_eq!(results, ids([1, 2]));
}

pub async fn case_and_diacritics_do_not_matter(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["Le CAFÉ de Zoë", "cafe\u{301} zoe", "ＣＡＦＥ fullwidth", "tea"]).await;
    for text in ["cafe", "Café", "CAFE\u{301}", "ｃａｆé"] {
        let mut results = hits(bed, text).await;
        results.sort();
        assert_eq!(results, ids([1, 2, 3]), "{text:?}");
    }
}

/// A lower-case sigma at the end of a word has a letter of its own, an upper-case one has not.
pub async fn a_final_sigma_is_a_sigma(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["Σίσυφος", "σισυφοσ", "ΣΙΣΥΦΟΣ", "σίϲυφοϲ", "Τάνταλος"]).await;
    for text in ["σισυφος", "Σίσυφοσ", "ΣΊΣΥΦΟΣ", "\"σισυφοϲ\""] {
        let mut results = hits(bed, text).await;
        results.sort();
        assert_eq!(results, ids([1, 2, 3, 4]), "{text:?}");
    }
    assert_eq!(hits(bed, "τανταλοσ -σισυφοσ").await, ids([5]));
    assert!(hits(bed, "ΣΙΣΥΦΟΣ -σίσυφος").await.is_empty());
}

/// No stemmer leads *broke* back to *break*.
pub async fn irregular_forms_are_found_by_their_word(bed: &TestBed<impl StoreFactory>) {
    let texts =
        ["The build broke.", "Builds break on Mondays", "a broken BUILD", "The builders brook no delay"];
    fill(bed, &texts).await;
    for text in ["break", "Broke?", "breaking", "broken"] {
        let mut results = hits(bed, text).await;
        results.sort();
        assert_eq!(results, ids([1, 2, 3]), "{text:?}");
    }
    assert_eq!(hits(bed, "\"build break\" -monday").await, ids([1]));
    assert_eq!(hits(bed, "built -broke brook").await, ids([4]));
    assert!(hits(bed, "building -breaks").await.is_empty());
}

/// A word ends at an apostrophe; what stands before it in *doesn't* is a stop word, too.
pub async fn parts_of_stop_words_have_no_weight(bed: &TestBed<impl StoreFactory>) {
    fill(
        bed,
        &["It doesn't, we couldn\u{2019}t, you haven't", "the pump hasn't leaked", "a haven for boats"],
    )
    .await;
    assert!(hits(bed, "why doesn't the valve? couldn't we").await.is_empty());
    assert_eq!(hits(bed, "doesn't the pump leak").await, ids([2]));
    assert_eq!(hits(bed, "\"the pump didn't leak\"").await, ids([2]));
    let mut a_word = hits(bed, "haven't").await;
    a_word.sort();
    assert_eq!(a_word, ids([1, 3]));
}

pub async fn stop_words_have_no_weight(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["The lighthouse", "the harbour", "who is this"]).await;
    assert_eq!(hits(bed, "where is the harbour").await, ids([2]));
    assert!(hits(bed, "in of and").await.is_empty());
}

pub async fn identifiers_and_numbers_are_found_whole(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["error E0308 in ledger_v2", "port 5433", "version 10.4.1", "plain"]).await;
    assert_eq!(hits(bed, "e0308").await, ids([1]));
    assert_eq!(hits(bed, "src/ledger").await, ids([1]));
    assert_eq!(hits(bed, "5433?").await, ids([2]));
    assert_eq!(hits(bed, "10.4.1").await, ids([3]));
}

pub async fn a_phrase_must_occur(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["connection pool size", "pool of connections", "the pool connection", "connection pools"])
        .await;
    let mut results = hits(bed, "\"connection pool\"").await;
    results.sort();
    assert_eq!(results, ids([1, 4]));
    assert_eq!(hits(bed, "size \"connection pool\"").await[0], id(1));
}

pub async fn a_phrase_does_not_reach_across_fields(bed: &TestBed<impl StoreFactory>) {
    let mut record = memory(1, "ends with alpha");
    record.node_type = "beta".to_owned();
    record.tags = vec!["gamma".to_owned(), "delta".to_owned()];
    bed.store.insert(&record).await.unwrap();
    assert!(hits(bed, "\"alpha beta\"").await.is_empty());
    assert!(hits(bed, "\"beta gamma\"").await.is_empty());
    assert_eq!(hits(bed, "\"with alpha\"").await, ids([1]));
    assert_eq!(hits(bed, "\"gamma delta\"").await, ids([1]), "tags are read as one text");
}

pub async fn a_phrase_keeps_its_distances_over_stop_words(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["ran out of the memory", "ran memory", "ran into memory"]).await;
    assert_eq!(hits(bed, "\"ran out of the memory\"").await, ids([1]));
    assert_eq!(hits(bed, "\"ran memory\"").await, ids([2]));
    assert_eq!(hits(bed, "\"ran up to our memory\"").await, ids([1]), "one stop word is as good as another");
}

pub async fn a_phrase_of_stop_words_asks_for_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["to be or not to be", "lighthouse"]).await;
    assert_eq!(hits(bed, "lighthouse \"to be\"").await, ids([2]), "it is not demanded");
    assert_eq!(hits(bed, "\"be to\"").await, ids([1]), "its words are all that is asked for");
}

pub async fn several_phrases_must_all_occur(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["red lamp and green chair", "red lamp", "green chair", "red chair, green lamp"]).await;
    assert_eq!(hits(bed, "\"red lamp\" \"green chair\"").await, ids([1]));
}

pub async fn an_excluded_word_must_not_occur(bed: &TestBed<impl StoreFactory>) {
    let mut tagged = memory(4, "a quiet lamp");
    tagged.tags = vec!["greenish".to_owned(), "green".to_owned()];
    fill(bed, &["red lamp", "green lamp", "lamps are Greens"]).await;
    bed.store.insert(&tagged).await.unwrap();
    assert_eq!(hits(bed, "lamp -green").await, ids([1]));
}

pub async fn an_excluded_phrase_must_not_occur(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["green glass lamp", "glass green lamp", "lamp"]).await;
    let mut results = hits(bed, "lamp -\"green glass\"").await;
    results.sort();
    assert_eq!(results, ids([2, 3]));
}

pub async fn an_exclusion_alone_asks_for_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["red lamp", "green lamp"]).await;
    assert!(hits(bed, "-green").await.is_empty());
}

pub async fn excluding_a_word_that_is_asked_for_finds_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["red lamp", "green lamp"]).await;
    assert!(hits(bed, "lamp -lamps").await.is_empty());
}

pub async fn a_dash_inside_a_word_excludes_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["a well-known fact", "a known fact"]).await;
    assert_eq!(hits(bed, "well-known").await, ids([1, 2]));
}

pub async fn a_text_without_a_word_finds_nothing(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["red lamp", "*** ??? →"]).await;
    for text in ["", " \t\n", "***", "→", "\"\"", "--", "\0", "\u{200d}", "the"] {
        assert!(hits(bed, text).await.is_empty(), "{text:?}");
    }
}

pub async fn of_equal_scores_the_newest_comes_first(bed: &TestBed<impl StoreFactory>) {
    let mut records: Vec<_> = (1..=40).map(|n| memory(n, "identical sparrow")).collect();
    // Of one time the lowest id comes first.
    records[19].created_at = records[20].created_at;
    records.reverse();
    bed.store.insert_batch(&records).await.unwrap();
    bed.store.insert(&memory(99, "unrelated")).await.unwrap();
    let mut expected: Vec<_> = (1..=40).rev().collect();
    expected.swap(19, 20);
    assert_eq!(hits(bed, "sparrow").await, ids(expected));
    let page = async || {
        let query = SearchQuery::text("sparrow").limit(7);
        found(&bed.store.search(&query).await.unwrap())
    };
    assert_eq!(page().await, ids((34..=40).rev()));
    // The time is what it is now.
    let mut older = memory(40, "identical sparrow");
    older.created_at = now() - chrono::TimeDelta::days(1);
    bed.store.update(&older).await.unwrap();
    assert_eq!(page().await, ids((33..=39).rev()));
}

pub async fn a_limit_of_zero_means_ten(bed: &TestBed<impl StoreFactory>) {
    let records: Vec<_> = (1..=25).map(|n| memory(n, "sparrow")).collect();
    bed.store.insert_batch(&records).await.unwrap();
    assert_eq!(bed.store.search(&SearchQuery::text("sparrow")).await.unwrap().len(), 10);
}

pub async fn a_limit_above_a_thousand_is_invalid(bed: &TestBed<impl StoreFactory>) {
    let query = SearchQuery::text("sparrow").limit(1001);
    assert_invalid(bed.store.search(&query).await, "limit");
    assert_invalid(bed.store.search(&in_keyword_mode(&query)).await, "limit");
    assert_invalid(bed.store.search(&in_vector_mode(&query)).await, "limit");
    assert!(bed.store.search(&query.limit(1000)).await.unwrap().is_empty());
}

pub async fn hostile_queries_are_answered(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["SELECT the lamp AND NEAR the table", "it's a 😀 lamp", "-- DROP me"]).await;
    let queries = hostile_queries();
    assert!(queries.len() >= 200, "{}", queries.len());
    for text in &queries {
        let results = bed.store.search(&SearchQuery::text(text.clone())).await;
        assert!(results.is_ok(), "{text:?}: {results:?}");
    }
    assert_eq!(bed.store.count().await.unwrap(), 3, "nothing was injected");
    assert_eq!(hits(bed, "lamp").await.len(), 2);
}

pub async fn operators_of_other_languages_are_plain_words(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["near the lamp", "a lamp", "a chair", "content: drop table", "a table"]).await;
    assert_eq!(hits(bed, "NEAR(lamp chair, 5)").await.len(), 3);
    assert_eq!(hits(bed, "chair OR NOT table").await.len(), 3);
    assert_eq!(hits(bed, "cha*").await, ids([]), "no prefix search");
    assert_eq!(hits(bed, "'; DROP TABLE knowledge_nodes; --").await, ids([4, 5]));
    assert_eq!(hits(bed, "content:chair").await, ids([3, 4]));
}

pub async fn control_characters_separate_words(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["a lamp", "a table", "lamptable"]).await;
    for text in ["lamp\0table", "lamp\u{1}table", "lamp\u{1b}[table", "lamp\u{7f}table"] {
        assert_eq!(hits(bed, text).await, ids([2, 1]), "{text:?}");
    }
}

pub async fn only_the_first_sixty_four_phrases_are_demanded(bed: &TestBed<impl StoreFactory>) {
    let phrases: Vec<_> = (0..70).map(|n| format!("\"red lamp{n}\"")).collect();
    let content: Vec<_> = (0..64).map(|n| format!("red lamp{n}")).collect();
    fill(bed, &[&content.join(" "), &content[1..].join(" ")]).await;
    assert_eq!(hits(bed, &phrases.join(" ")).await, ids([1]));
}

pub async fn a_query_of_a_hundred_thousand_characters_is_answered(bed: &TestBed<impl StoreFactory>) {
    fill(bed, &["the needle", "a haystack"]).await;
    let mut text = "needle ".to_owned();
    text.extend((0..20_000).map(|n| format!("w{n} ")));
    assert!(text.len() > 100_000);
    assert_eq!(hits(bed, &text).await, ids([1]));
    assert!(hits(bed, &"\"-'😀".repeat(20_000)).await.is_empty());
}

pub async fn a_query_beyond_the_limit_is_invalid(bed: &TestBed<impl StoreFactory>) {
    let longest = "x".repeat(limits::MAX_QUERY_BYTES);
    assert!(hits(bed, &longest).await.is_empty());
    assert_invalid(bed.store.search(&SearchQuery::text(longest + "x")).await, "text");
}

pub async fn phrases_beyond_the_limit_are_cut_and_exclusions_dropped(bed: &TestBed<impl StoreFactory>) {
    let content: Vec<_> = (0..3000).map(|n| format!("w{n}")).collect();
    let content = content.join(" ");
    fill(bed, &[&content, "w0 w1 w2"]).await;
    assert_eq!(hits(bed, &format!("\"{content} end\"")).await, ids([1]), "the end is not looked for");
    assert_eq!(hits(bed, &format!("w2 -\"{content}\"")).await, ids([2, 1]), "it is not excluded");
    assert_eq!(hits(bed, "w2 -\"w1 w2 w3\"").await, ids([2]));
    // The character that becomes longest.
    let giant = |n: usize| format!("{}{n}", "\u{fdfa}".repeat(50));
    let text: String = (0..64).map(|n| format!("\"{}\" -\"{}\" ", giant(n), giant(n + 100))).collect();
    assert!(hits(bed, &text).await.is_empty());
}

pub async fn a_word_behind_half_a_mebibyte_of_others_is_found(bed: &TestBed<impl StoreFactory>) {
    let content = format!("early {}{} late", "- ".repeat(100_000), "x".repeat(300_000));
    let record = memory(1, content);
    bed.store.insert(&record).await.unwrap();
    assert_eq!(hits(bed, "early").await, ids([1]));
    assert_eq!(hits(bed, "late").await, ids([1]));
    assert_eq!(bed.store.get(id(1)).await.unwrap(), Some(record));
}

pub async fn a_word_too_long_to_index_is_passed_over(bed: &TestBed<impl StoreFactory>) {
    let giant = "x".repeat(3000);
    fill(bed, &[&format!("east {giant} west"), "east west"]).await;
    assert!(hits(bed, &giant).await.is_empty());
    let mut results = hits(bed, "west").await;
    results.sort();
    assert_eq!(results, ids([1, 2]));
}

pub async fn explain_describes_the_legs_that_would_run(bed: &TestBed<impl StoreFactory>) {
    bed.store.register_model(&model()).await.unwrap();
    bed.store.insert(&embedded(1, "red lamp", &[1.0, 0.0, 0.0, 0.0])).await.unwrap();
    let stages = |plan: vestige_traits::plan::SearchPlan| -> Vec<String> {
        plan.steps.into_iter().map(|step| step.stage).collect()
    };
    let hybrid = SearchQuery::hybrid("lamp", vec![1.0, 0.0, 0.0, 0.0]);
    let plan = stages(bed.store.explain_search(&hybrid).await.unwrap());
    for stage in ["keyword", "vector", "fusion"] {
        assert!(plan.iter().any(|known| known == stage), "{plan:?}");
    }
    let plan = stages(bed.store.explain_search(&SearchQuery::text("lamp")).await.unwrap());
    assert!(
        plan.iter().any(|stage| stage == "keyword") && !plan.iter().any(|stage| stage == "vector"),
        "{plan:?}"
    );
    assert_invalid(bed.store.explain_search(&hybrid.limit(2000)).await, "limit");
}

/// The error code at the end of a stack trace is a rarer word than the frames above it.
pub async fn the_rarest_words_of_a_long_question_count(bed: &TestBed<impl StoreFactory>) {
    // Words that no stemmer changes.
    let letter = |n: usize| char::from(b"bcdfgklmnp"[n % 10]);
    let frame = |n: usize| String::from_iter(['z', letter(n / 100), letter(n / 10), letter(n), 'k']);
    let frames: Vec<String> = (0..200).map(frame).collect();
    let noise: Vec<String> = frames.iter().map(|frame| format!("{frame} again")).collect();
    let mut contents: Vec<&str> = vec!["fixed QX4711"];
    for _ in 0..3 {
        contents.extend(noise.iter().map(String::as_str));
    }
    fill(bed, &contents).await;
    let trace = frames.join("\n at ") + "\nnowhere neither error QX4711";
    let results = bed.store.search(&SearchQuery::text(&trace)).await.unwrap();
    assert_eq!(results[0].record.id, id(1));
    // Words that occur nowhere take no place: with the code, 63 of the equally rare frames count.
    let counting = hits(bed, &trace).await;
    assert_eq!(counting.len(), 1 + 3 * (limits::MAX_QUERY_TERMS - 1));
    assert!(counting.contains(&id(2)) && !counting.contains(&id(201)), "of equally rare words the first");
}
