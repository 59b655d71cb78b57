//! Memories with credentials are refused, unless somebody allows them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use serde_json::json;
use support::{embedder, reference};
use vestige_memory::{Memory, MemoryError, NewMemory, RememberOptions};
use vestige_traits::MemoryStore;

fn token() -> String {
    format!("{}{}", "ghp_", "x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi")
}

#[tokio::test]
async fn a_memory_with_a_credential_is_refused_with_its_place_and_nothing_is_stored() {
    let memory = Memory::new(reference(), embedder());
    let text = format!("The token is {}.", token());
    let error = memory.remember(text.as_str()).await.unwrap_err();
    assert!(matches!(error, MemoryError::Secret { index: None, .. }), "{error:?}");
    let said = format!("{error} {error:?}");
    assert!(said.contains("content: characters 13 to 53 look like a credential (GitHub token)"), "{said}");
    assert!(!said.contains(&token()[4..12]), "{said}");

    let batch =
        vec![NewMemory::new("one"), NewMemory::new("two").metadata(json!({"db": {"password": "hunter2"}}))];
    let error = memory.remember_all(batch.clone(), RememberOptions::new()).await.unwrap_err();
    assert!(error.to_string().starts_with("memories[1].metadata.db.password: characters 0 to 7 "), "{error}");
    assert!(!error.is_retryable() && error.store_error().is_none());
    assert_eq!(memory.store().count().await.unwrap(), 0);

    let allowed = memory.remember_all(batch, RememberOptions::new().allow_secrets(true)).await.unwrap();
    assert!(allowed.iter().all(|remembered| remembered.stored));
    let memory = Memory::builder(reference(), embedder()).allow_secrets(true).build();
    assert!(memory.remember(text).await.unwrap().stored);
}

#[tokio::test]
async fn an_edit_may_keep_a_credential_and_not_add_one() {
    let memory = Memory::new(reference(), embedder());
    let allowed = RememberOptions::new().allow_secrets(true);
    let kept = memory.remember_all([format!("The token is {}.", token())], allowed).await.unwrap();
    let id = kept[0].record.id;
    assert!(memory.edit(id, |record| record.tags.push("ci".into())).await.unwrap().changed);
    let error = memory.edit(id, |record| record.tags.push("postgres://a:s3cretRead3r@db/x".into())).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("tags[1]: characters 13 to 25 "), "{error}");
    assert_eq!(memory.get(id).await.unwrap().unwrap().tags, ["ci"]);
}
