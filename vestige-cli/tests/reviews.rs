//! `vestige review`, `vestige due` and the schedule that is made anew from the log.

mod common;

use common::Vestige;
use serde_json::{Value, json};
use uuid::Uuid;

const STABILITIES: [(&str, f64); 4] =
    [("again", 0.212), ("hard", 1.2931), ("good", 2.3065), ("easy", 8.2956)];

fn on_sqlite_and_postgres(test: impl Fn(&Vestige)) {
    test(&Vestige::new());
    #[cfg(feature = "postgres-backend")]
    if let Some(database) = common::database::Database::new("reviews on PostgreSQL") {
        test(&Vestige::on_postgres(&database.url));
    }
}

fn schedule(vestige: &Vestige, id: &str) -> Value {
    vestige.json(&["get", id])[0]["scheduling"].clone()
}

#[test]
fn a_first_review_sets_the_stability_of_its_rating() {
    on_sqlite_and_postgres(|vestige| {
        for (rating, stability) in STABILITIES {
            let id = vestige.add(&[&format!("rated {rating}")]);
            assert_eq!(schedule(vestige, &id), Value::Null);
            let answer = vestige.json(&["review", &id[..13], rating]);
            assert_eq!((&answer["memory_id"], &answer["rating"]), (&json!(id), &json!(rating)));
            let state = &answer["scheduling"];
            assert_eq!((&state["stability"], &state["reps"]), (&json!(stability), &json!(1)));
            assert_eq!(state["lapses"], u64::from(rating == "again"));
            assert_eq!(schedule(vestige, &id)["next_review"], state["next_review"]);
        }
        let stats = vestige.json(&["stats"]);
        assert_eq!((&stats["scheduled"], &stats["review_events"]), (&json!(4), &json!(4)));
        let id = vestige.add(&["for people"]);
        let text = vestige.ok(&["review", &id, "good"]);
        assert!(
            text.contains("recall 1.00 now · stability 2.31 days · difficulty 2.1 of 10 · due 2"),
            "{text}"
        );
    });
}

#[test]
fn what_is_due_comes_longest_overdue_first() {
    on_sqlite_and_postgres(|vestige| {
        let ids: Vec<String> = ["one", "two", "three"].iter().map(|text| vestige.add(&[text])).collect();
        for id in &ids {
            vestige.ok(&["review", id, "easy"]);
        }
        assert_eq!(vestige.json(&["due"]), json!([]));
        // An archive in which the first two were reviewed long ago.
        let older = Vestige::new();
        age(vestige, &older, &ids[..2]);
        let due = older.json(&["due"]);
        let due = due.as_array().expect("an array");
        assert_eq!(due.iter().map(|due| &due["id"]).collect::<Vec<_>>(), [&json!(ids[1]), &json!(ids[0])]);
        let recall = due[0]["scheduling"]["retrievability"].as_f64().expect("a number");
        assert!(recall < 0.9 && recall > 0.0, "{recall}");
        assert_eq!(older.json(&["due", "-n1"]).as_array().map(Vec::len), Some(1));
        let reviewed = older.json(&["review", &ids[1], "good"]);
        let stability = reviewed["scheduling"]["stability"].as_f64().expect("a number");
        assert!(stability > 8.2956, "a memory recalled after years is remembered for longer: {stability}");
        assert_eq!(older.json(&["due"]).as_array().map(Vec::len), Some(1));
    });
}

/// Copies a memory, with the schedules of these set in the past, the later ones further back.
fn age(from: &Vestige, to: &Vestige, ids: &[String]) {
    to.write("a.jsonl", from.ok(&["export", "-"]));
    to.ok(&["restore", "a.jsonl"]);
    let file = rusqlite::Connection::open(to.db()).expect("the store");
    for (at, id) in ids.iter().enumerate() {
        let id = Uuid::try_parse(id).expect("an id").into_bytes();
        let back = 86_400_000_000_i64 * 1000 * (at as i64 + 1);
        let sql = "UPDATE scheduling SET last_review = last_review - ?1, next_review = next_review - ?1 WHERE memory_id = ?2";
        assert_eq!(file.execute(sql, rusqlite::params![back, id]).expect("it runs"), 1);
    }
}

#[test]
fn the_schedule_is_made_anew_from_the_log() {
    on_sqlite_and_postgres(|vestige| {
        let ids: Vec<String> = (0..5).map(|n| vestige.add(&[&format!("memory {n}")])).collect();
        for (at, rating) in ["good", "again", "hard", "easy", "good", "good"].iter().enumerate() {
            vestige.ok(&["review", &ids[at % 4], rating]);
        }
        let before = vestige.ok(&["export", "-"]);
        let report = vestige.json(&["doctor", "--rebuild-scheduling"]);
        let line = report["findings"][0]["message"].as_str().expect("a message");
        assert_eq!(
            line,
            "4 memories with reviews, of which 0 had another schedule than the log says and has it now"
        );
        assert_eq!(vestige.ok(&["export", "-"]), before);

        // A store whose schedules are wrong: its log says what they are.
        let wrong = Vestige::new();
        age(vestige, &wrong, &ids[..3]);
        let damaged = wrong.ok(&["export", "-"]);
        assert_ne!(damaged, before);
        assert!(wrong.ok(&["doctor", "--rebuild-scheduling"]).contains("of which 3 had another schedule"));
        assert_eq!(wrong.ok(&["export", "-"]), before);
    });
}

#[test]
fn reviews_of_what_is_not_there_and_unknown_ratings_are_refused() {
    let vestige = Vestige::new();
    let id = vestige.add(&["one"]);
    let missing = "019bb17c-0e40-7978-a6a1-2a42c7957ab5";
    vestige.run(&["review", missing, "good"]).refuses(1, &["does not exist"]);
    let run = vestige.run(&["review", &id, "perfect"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("again, hard, good, easy"), "{}", run.stderr);
    assert_eq!(schedule(&vestige, &id), Value::Null);
}
