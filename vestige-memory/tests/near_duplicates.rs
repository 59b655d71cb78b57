//! What is a near duplicate in the languages of `data/near-duplicates.json`, with the bundled model.
//!
//! Thresholds were chosen on the first, third, fifth pair and so on. `near-duplicates` of `vestige-bench`
//! prints the counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::collections::BTreeMap;

use serde::Deserialize;
use vestige_embed::StaticEmbedder;
use vestige_memory::{Memory, NearDuplicates, NewMemory, RememberOptions, Wording};
use vestige_traits::MemoryStore;

type Pairs = BTreeMap<String, Vec<(String, String)>>;

#[derive(Deserialize)]
struct Set {
    unrelated: BTreeMap<String, Vec<String>>,
    restated: Pairs,
    corrected: Pairs,
    other: Pairs,
}

fn set() -> Set {
    serde_json::from_str(include_str!("data/near-duplicates.json")).unwrap()
}

over_each_store! {
    no_unrelated_statement_of_any_language_is_a_near_duplicate,
    restatements_and_corrections_are_reported_in_every_script,
    a_difference_is_named,
    a_long_text_of_unknown_words_is_a_near_duplicate_of_itself,
}

async fn no_unrelated_statement_of_any_language_is_a_near_duplicate<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, StaticEmbedder::bundled());
    let texts: Vec<String> = set().unrelated.into_values().flatten().collect();
    assert!(texts.len() >= 15 * 12);
    // Every text is compared with every one before it.
    let at_once = memory.remember_all(texts.clone(), RememberOptions::new()).await.unwrap();
    let near: Vec<_> = at_once.iter().filter_map(|outcome| outcome.near_duplicate.as_ref()).collect();
    assert!(near.is_empty(), "{near:?}");
    // And with what is stored: each is a near duplicate of itself, and of no other.
    for (text, stored) in texts.iter().zip(&at_once) {
        let again = memory.remember(text.as_str()).await.unwrap();
        let near = again.near_duplicate.unwrap_or_else(|| panic!("{text} is not recognised"));
        assert_eq!((near.id, near.wording), (stored.record.id, Wording::Same), "{text}");
        assert!(near.similarity > 0.9999, "{text}: {}", near.similarity);
    }
}

async fn restatements_and_corrections_are_reported_in_every_script<S: MemoryStore + Sync>(store: S) {
    let set = set();
    let memory = Memory::new(store, StaticEmbedder::bundled());
    let mut counts: BTreeMap<String, [(usize, usize); 3]> = BTreeMap::new();
    for (kind, languages) in [&set.restated, &set.corrected, &set.other].into_iter().enumerate() {
        for (language, pairs) in languages {
            for (at, (known, new)) in pairs.iter().enumerate() {
                let place = |text: &str| NewMemory::new(text).codebase(format!("{kind} {language} {at}"));
                let known = memory.remember(place(known)).await.unwrap();
                let outcome = memory.remember(place(new)).await.unwrap();
                let (all, held_out) = &mut counts.entry(language.clone()).or_default()[kind];
                if let Some(near) = outcome.near_duplicate {
                    *all += 1;
                    *held_out += at % 2;
                    assert_eq!(near.id, known.record.id);
                    // The only pairs that say something else in the same words are not in this set.
                    assert!(kind == 0 || matches!(near.wording, Wording::Differs { .. }), "{new}");
                    assert!(kind == 0 || near.similarity < 0.99, "{new}: {}", near.similarity);
                }
            }
        }
    }
    for (language, [restated, corrected, other]) in &counts {
        // All, and those of the half held out.
        let counts = format!("{language}: {restated:?} of 12, {corrected:?} of 12, {other:?} of 6");
        assert!(restated.0 >= 6 && corrected.0 >= 7 && other.0 <= 1, "{counts}");
    }
}

async fn a_difference_is_named<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, StaticEmbedder::bundled());
    for (known, new, only_new, only_known) in [
        ("The deploy is allowed on Friday", "The deploy is not allowed on Friday", "not", ""),
        (
            "The gateway listens on port 5433 at night.",
            "The gateway listens on port 5434 at night.",
            "5434",
            "5433",
        ),
        ("Выкладка по пятницам разрешена.", "Выкладка по пятницам не разрешена.", "не", ""),
        ("लॉग 30 दिन रखे जाते हैं।", "लॉग 90 दिन रखे जाते हैं।", "90", "30"),
        ("与印刷厂的合同将在六月份到期。", "与印刷厂的合同将在七月份到期。", "七", "六"),
    ] {
        memory.remember(known).await.unwrap();
        let outcome = memory.remember(new).await.unwrap();
        let near = outcome.near_duplicate.unwrap_or_else(|| panic!("{new} is not near"));
        let entries = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wording = Wording::Differs { new: entries(only_new), known: entries(only_known) };
        assert_eq!((near.content.as_str(), near.wording), (known, wording));
        assert!(near.similarity < 0.99, "{new}: {}", near.similarity);
        let anyway = RememberOptions::new().near_duplicates(NearDuplicates::Store);
        assert!(memory.remember_all([new], anyway).await.unwrap()[0].stored);
    }
    let exact = memory.remember("the DEPLOY is allowed on friday!").await.unwrap().near_duplicate.unwrap();
    assert_eq!((exact.content.as_str(), exact.wording), ("The deploy is allowed on Friday", Wording::Same));
}

/// It is looked for by its words, of which a passage has few.
async fn a_long_text_of_unknown_words_is_a_near_duplicate_of_itself<S: MemoryStore + Sync>(store: S) {
    let memory = Memory::new(store, vestige_memory::NoEmbedder);
    // One word in a hundred is long, so that each of the long ones is in another passage.
    let word = |n: usize| {
        if n % 100 == 50 { format!("параллелепипед{n:04}") } else { format!("слово{n}") }
    };
    let long = (0..2000).map(word).collect::<Vec<_>>().join(" ");
    let known = memory.remember(long.as_str()).await.unwrap();
    // Short ones that have two of its long words each.
    let others: Vec<_> = (0..19).map(|n| format!("{} {}", word(100 * n + 50), word(100 * n + 150))).collect();
    let anyway = RememberOptions::new().near_duplicates(NearDuplicates::Ignore);
    memory.remember_all(others, anyway).await.unwrap();
    let near = memory.remember(format!("{long}!")).await.unwrap().near_duplicate.unwrap();
    assert_eq!((near.id, near.wording), (known.record.id, Wording::Same));
}
