//! The example in the specification of the archive format is what the program writes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::path::Path;

use common::{archive_of, empty, open};
use serde_json::json;
use uuid::Uuid;
use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
use vestige_traits::transfer::{ScheduledMemory, TransferRow};
use vestige_traits::{MemoryRecord, MemoryStore, ModelSignature};

/// The store of the example: one memory, its scheduling, one review.
fn rows() -> Vec<TransferRow> {
    let at = |text: &str| text.parse().unwrap();
    let id = Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_002a);
    let mut record = MemoryRecord::new_at("Deploys are frozen on \"Fridays\".\n", at("2026-01-01T00:00:00Z"));
    record.id = id;
    record.node_type = "decision".to_owned();
    record.tags = vec!["ops".to_owned(), "freeze".to_owned()];
    record.metadata = json!({"topics": ["Straße"], "file": "ops/calendar.md", "confidence": 0.5});
    record.embedding = Some(vec![0.5, -0.6]);
    record.updated_at = at("2026-01-02T03:04:05.000006Z");
    let state = SchedulingState {
        stability: 3.25,
        difficulty: 5.0,
        retrievability: 1.0,
        last_review: Some(at("2026-01-03T00:00:00Z")),
        next_review: Some(at("2026-01-06T06:00:00Z")),
        reps: 1,
        lapses: 0,
    };
    vec![
        TransferRow::Memory(record),
        TransferRow::Scheduling(ScheduledMemory { memory_id: id, state }),
        TransferRow::ReviewEvent(ReviewEvent {
            id: Uuid::from_u128(0x019b_812f_c400_7000_8000_0000_0000_002b),
            memory_id: id,
            timestamp: at("2026-01-03T00:00:00Z"),
            rating: Rating::Good,
            prior_state: None,
            new_state: state,
        }),
    ]
}

#[tokio::test]
async fn the_example_is_what_the_program_writes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/archive-format.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let example = text.split("```jsonl\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("the specification has no example");

    let store = empty();
    let model = ModelSignature { name: "example/two".to_owned(), dimension: 2, hash: "5e".repeat(32) };
    store.register_model(&model).await.unwrap();
    let report = store.import_page(&rows(), None).await.unwrap();
    assert_eq!(report.inserted, 3, "{report:?}");
    let archive = String::from_utf8(archive_of(&store).await).unwrap();
    assert_eq!(archive, example);
    assert_eq!(open(example.as_bytes()).inventory().counts.total(), 4);
    assert!(text.contains("`AAAAP5qZGb8=`"), "the vector that the text explains");
    assert!(archive.contains("\"AAAAP5qZGb8=\""), "{archive}");
}
