//! What `recall` embeds, and what it finds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use chrono::{FixedOffset, TimeDelta};
use support::{Broken, Recording, embedder, reference};
use vestige_conformance::fixtures::now;
use vestige_memory::{Memory, Nearby, NoEmbedder, Recall, RememberOptions, SearchMode};
use vestige_traits::clock::ManualClock;
use vestige_traits::{MemoryFilter, MemoryRecord, MemoryStore, MemoryStoreError};

over_each_store! {
    found_by_words_and_by_meaning,
    what_is_excluded_is_neither_embedded_nor_found,
    by_words_alone_nothing_is_embedded,
    by_meaning_alone_the_score_is_the_cosine,
    a_question_without_a_known_word_is_answered_by_words,
    in_a_store_without_a_model_words_find,
    filters_and_limits_hold,
    a_result_comes_with_what_stands_around_it,
    the_query_can_be_explained,
    of_a_long_memory_the_passage_that_matches_is_answered,
    memories_of_the_time_that_a_question_names_come_first,
    what_was_read_of_a_question_can_be_told,
}

async fn found_by_words_and_by_meaning<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let texts = ["The ferry leaves at nine.", "The mast is broken.", "Mara is allergic to peanuts."];
    let stored = memory.remember_all(texts, RememberOptions::new()).await.unwrap();
    let found = memory.recall("when does the ferry leave?").await.unwrap();
    assert_eq!(found[0].record.id, stored[0].record.id);
    assert!(found[0].fts_score.is_some() && found[0].vector_score.is_some());
    assert!(memory.recall("").await.unwrap().is_empty());
}

async fn what_is_excluded_is_neither_embedded_nor_found<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, Recording::new());
    memory.remember_all(["a sick cat", "a sick dog"], RememberOptions::new()).await.unwrap();
    for mode in [SearchMode::Hybrid, SearchMode::Keyword, SearchMode::Vector] {
        let found = memory.recall(Recall::new("sick -dog").mode(mode)).await.unwrap();
        let found: Vec<_> = found.iter().map(|hit| &*hit.record.content).collect();
        assert_eq!(found, ["a sick cat"], "{mode:?}");
    }
    assert_eq!(*memory.embedder().queries.lock().unwrap(), ["sick", "sick"]);
    for mode in [SearchMode::Hybrid, SearchMode::Keyword, SearchMode::Vector] {
        assert!(memory.recall(Recall::new("-dog").mode(mode)).await.unwrap().is_empty(), "{mode:?}");
    }
    assert_eq!(memory.embedder().queries.lock().unwrap().len(), 2, "nothing is left to embed");
}

async fn by_words_alone_nothing_is_embedded<S: MemoryStore + Sync>(store: S) {
    store.insert(&MemoryRecord::new("The ferry leaves at nine.")).await.unwrap();
    let memory = Memory::new(store, Broken::new());
    let found = memory.recall(Recall::new("ferry").mode(SearchMode::Keyword)).await.unwrap();
    assert_eq!(found.len(), 1);
    memory.register_model().await.unwrap();
    assert!(memory.recall("ferry").await.is_err());
}

async fn by_meaning_alone_the_score_is_the_cosine<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    memory.remember_all(["red lamp", "a lamp of red", "!?"], RememberOptions::new()).await.unwrap();
    for question in ["red lamp", "\"red lamp\"", "red lamp -blue"] {
        let found = memory.recall(Recall::new(question).mode(SearchMode::Vector)).await.unwrap();
        assert!((found[0].score - 1.0).abs() < 1e-3, "{question}: {}", found[0].score);
        assert!(found.iter().all(|hit| hit.vector_score == Some(hit.score) && hit.fts_score.is_none()));
        assert!(found.iter().all(|hit| hit.record.content != "!?"), "it has no vector");
        let phrase = question.starts_with('"');
        assert_eq!(found.len(), if phrase { 1 } else { 2 }, "{question}");
    }
}

async fn a_question_without_a_known_word_is_answered_by_words<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, Broken::new());
    memory.store().insert(&MemoryRecord::new("部署窗口：星期二上午")).await.unwrap();
    // No model is registered, so the broken one is not asked.
    for (question, found) in [("部署窗口？", 1), ("星期二上午 -日", 1), ("🎉", 0), ("-部署窗口", 0)]
    {
        assert_eq!(memory.recall(question).await.unwrap().len(), found, "{question}");
    }
}

async fn in_a_store_without_a_model_words_find<S: MemoryStore + Sync>(store: S) {
    store.insert(&MemoryRecord::new("The ferry leaves at nine.")).await.unwrap();
    let memory = Memory::new(store, Recording::new());
    assert_eq!(memory.recall("ferry").await.unwrap().len(), 1);
    assert!(memory.embedder().queries.lock().unwrap().is_empty());
    assert_eq!(memory.store().registered_model().await.unwrap(), None, "a search writes nothing");
    assert!(memory.recall(Recall::new("ferry").mode(SearchMode::Vector)).await.unwrap().is_empty());
}

async fn filters_and_limits_hold<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let new = (0..20).map(|n| {
        let codebase = if n % 4 == 0 { "tidewater" } else { "other" };
        vestige_memory::NewMemory::new(format!("lamp number{n}")).codebase(codebase)
    });
    memory.remember_all(new, RememberOptions::new()).await.unwrap();
    let mut filter = MemoryFilter::default();
    filter.codebases.push("tidewater".into());
    for mode in [SearchMode::Hybrid, SearchMode::Keyword, SearchMode::Vector] {
        let question = Recall::new("lamp").filter(filter.clone()).mode(mode);
        assert_eq!(memory.recall(question.clone()).await.unwrap().len(), 5, "{mode:?}");
        assert_eq!(memory.recall(question.limit(3)).await.unwrap().len(), 3, "{mode:?}");
    }
    let error = memory.recall(Recall::new("lamp").limit(1001)).await.unwrap_err();
    assert!(matches!(error.store_error(), Some(MemoryStoreError::InvalidInput { .. })), "{error}");
}

async fn a_result_comes_with_what_stands_around_it<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let turns = ["zero", "Who has the lamp?", "Ada, or Ben has the lamp.", "three", "four"];
    for (second, text) in turns.iter().enumerate() {
        let said = now() + TimeDelta::seconds(second as i64);
        memory.store().insert(&MemoryRecord::new_at(*text, said).session("talk")).await.unwrap();
    }
    let question = Recall::new("lamp").mode(SearchMode::Keyword).sessions(false);
    let found = memory.recall_in_context(question.clone(), 2).await.unwrap();
    assert_eq!(found.len(), 2);
    let shown = |near: &[Nearby]| -> Vec<(String, Option<usize>)> {
        near.iter().map(|near| (near.record.content.clone(), near.result)).collect()
    };
    let of = |text: &str| found.iter().find(|one| one.result.record.content == text).unwrap();
    let number = |text: &str| 1 + found.iter().position(|one| one.result.record.content == text).unwrap();
    let (asks, answers) = (turns[1], turns[2]);
    assert_eq!(shown(&of(asks).before), [("zero".to_owned(), None)]);
    let after = [(answers.to_owned(), Some(number(answers))), ("three".to_owned(), None)];
    assert_eq!(shown(&of(asks).after), after);
    assert_eq!(shown(&of(answers).before)[1], (asks.to_owned(), Some(number(asks))));
    // Without context it is what `recall` finds.
    let plain = memory.recall_in_context(question.clone(), 0).await.unwrap();
    assert!(plain.iter().all(|one| one.before.is_empty() && one.after.is_empty()));
    let plain: Vec<_> = plain.into_iter().map(|one| one.result).collect();
    assert_eq!(plain, memory.recall(question.clone()).await.unwrap());
    for (limit, each, fits) in [(50, 20, true), (51, 20, false), (1, 21, false), (0, 20, true)] {
        let asked = memory.recall_in_context(question.clone().limit(limit), each).await;
        assert_eq!(asked.is_ok(), fits, "{each} around {limit}");
    }
}

async fn the_query_can_be_explained<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    memory.remember("The ferry leaves at nine.").await.unwrap();
    let query = memory.search_query("ferry -mast").await.unwrap();
    assert_eq!(query.text.as_deref(), Some("ferry -mast"));
    assert!(query.embedding.is_some());
    assert!(!memory.store().explain_search(&query).await.unwrap().steps.is_empty());
    assert!(memory.search_query("?!").await.unwrap().embedding.is_none());
}

async fn of_a_long_memory_the_passage_that_matches_is_answered<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, embedder());
    let line =
        |n: usize| if n == 70 { "Größe: the ferry leaves at nine." } else { "Nothing happened that day." };
    let log = (0..100).map(line).collect::<Vec<_>>().join("\n");
    memory.remember(log.as_str()).await.unwrap();
    memory.remember("The ferry is late.").await.unwrap();
    for mode in [SearchMode::Hybrid, SearchMode::Keyword] {
        let found = memory.recall(Recall::new("when does the ferry leave?").mode(mode)).await.unwrap();
        let passages: Vec<_> =
            found.iter().map(|hit| hit.passage.map(|passage| passage.of(&hit.record.content))).collect();
        let long = found.iter().position(|hit| hit.record.content == log).unwrap();
        let passage = passages[long].unwrap();
        assert!(passage.contains("leaves at nine") && passage.len() < log.len() / 3, "{mode:?}: {passage}");
        assert_eq!(passages[1 - long], None, "a short memory has none");
    }
    let found = memory.recall(Recall::new("ferry").mode(SearchMode::Vector)).await.unwrap();
    assert!(found.iter().all(|hit| hit.passage.is_none()), "its words did not find it");
}

#[tokio::test]
async fn a_memory_can_be_asked_from_another_task() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let memory = Memory::new(reference(), embedder());
    let shared = memory.clone();
    let found = tokio::spawn(async move { shared.recall("lamp").await.map(|found| found.len()) });
    assert_eq!(found.await.unwrap().unwrap(), 0);
    is_send(memory.remember("lamp")).await.unwrap();
    is_send(memory.edit(vestige_traits::identity::LOCAL_USER_ID, |_| ())).await.unwrap_err();
}

#[tokio::test]
async fn what_the_model_does_not_know_of_a_question_counts_for_less() {
    let memory = Memory::new(reference(), vestige_embed::StaticEmbedder::bundled());
    let weight = async |question: &str| memory.search_query(question).await.unwrap().fusion.vector_weight;
    let whole = vestige_traits::Fusion::default().vector_weight;
    assert_eq!(weight("when does the ferry leave?").await, whole);
    // The model knows pieces of the words, and not what they mean.
    for pieces in ["¿Cuándo sale el transbordador?", "Wann fährt die Fähre ab?", "O której odpływa prom?"]
    {
        let weight = weight(pieces).await;
        assert!((0.2 * whole..0.7 * whole).contains(&weight), "{pieces}: {weight}");
    }
    for unknown in
        ["渡轮什么时候出发？", "フェリーは何時に出ますか", "Когда отправляется паром?", "متى تغادر العبارة؟"]
    {
        assert!(weight(unknown).await < 0.3 * whole, "{unknown}: {}", weight(unknown).await);
    }
}

/// A memory on Thursday, 18 May 2023, with the same text from five days.
async fn of_five_days<S: MemoryStore + Sync>(store: S) -> Memory<S, NoEmbedder> {
    let days = ["2023-03-03", "2023-05-08", "2023-05-16", "2023-05-17", "2022-05-17"];
    for day in days {
        let created_at = format!("{day}T22:30:00Z").parse().unwrap();
        store.insert(&MemoryRecord::new_at("a lamp was lit", created_at)).await.unwrap();
    }
    let clock = ManualClock::new("2023-05-18T12:00:00Z".parse().unwrap());
    Memory::builder(store, NoEmbedder).clock(clock).build()
}

async fn memories_of_the_time_that_a_question_names_come_first<S: MemoryStore + Sync>(store: S) {
    let memory = of_five_days(store).await;
    let cases = [
        ("which lamp was lit on 3 March?", "2023-03-03"),
        ("which lamp last week", "2023-05-08"),
        ("lamp in May 2022", "2022-05-17"),
        ("the lamp the day before yesterday", "2023-05-16"),
        ("lamp", "2023-05-17"),
        ("\"lamp\" -yesterday -\"last week\" 2023-05-08", "2023-05-08"),
    ];
    for (question, day) in cases {
        let days = async |question: Recall| -> Vec<String> {
            let found = memory.recall(question).await.unwrap();
            found.iter().map(|hit| hit.record.created_at.date_naive().to_string()).collect()
        };
        let (with, without) = (days(question.into()).await, days(Recall::new(question).dates(false)).await);
        assert_eq!((with.len(), with[0].as_str()), (5, day), "{question}");
        assert_eq!((without.len(), without[0].as_str()), (5, "2023-05-17"), "{question}");
    }
    let there = FixedOffset::east_opt(2 * 3600).unwrap();
    let clock = ManualClock::new("2023-05-18T12:00:00Z".parse().unwrap());
    let there = Memory::builder(memory.store(), NoEmbedder).clock(clock).utc_offset(there).build();
    let yesterday = there.dates(&"lamp yesterday".into());
    assert_eq!(yesterday[0].span.from.to_rfc3339(), "2023-05-16T22:00:00+00:00");
}

async fn what_was_read_of_a_question_can_be_told<S: MemoryStore + Sync>(store: S) {
    let memory = of_five_days(store).await;
    let text = "lamps of last week and of 3 March";
    let read = memory.dates(&Recall::new(text));
    let read: Vec<(&str, String)> =
        read.iter().map(|date| (&text[date.range.clone()], date.to_string())).collect();
    assert_eq!(
        read,
        [("last week", "2023-05-08 to 2023-05-14".to_owned()), ("3 March", "2023-03-03".to_owned())]
    );
    assert!(memory.dates(&Recall::new(text).dates(false)).is_empty());
    assert!(memory.dates(&"lamps".into()).is_empty());
    let times = memory.search_query(Recall::new(text).dates(false)).await.unwrap().times;
    assert!(times.is_empty());
}
