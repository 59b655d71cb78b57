//! What the store tells a log.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::fmt;
use std::sync::{Arc, Mutex};

use common::TestDatabase;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, span};
use vestige_conformance::fixtures::{id, memory};
use vestige_traits::{MemoryStore, SearchQuery};

/// The events of this crate, each as its level and its fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

struct Fields<'s>(&'s mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("vestige_postgres")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = String::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().unwrap().push((*event.metadata().level(), fields));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn what_fails_is_logged_once_at_debug_and_what_does_not_is_not() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = database.store().await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    let logged = || std::mem::take(&mut *log.0.lock().unwrap());
    store.insert(&memory(1, "kept")).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().content, "kept");
    assert_eq!(logged(), []);

    let refused = store.insert(&memory(1, "s3cret")).await.unwrap_err();
    assert_eq!(logged(), [(Level::DEBUG, format!("error={refused} "))]);
    store.close().await;
    let query = SearchQuery::text("kept");
    for failed in [
        store.count().await.map(drop),
        store.search(&query).await.map(drop),
        store.delete(id(1)).await,
        store.abort_reembedding().await,
    ] {
        let error = failed.unwrap_err();
        assert!(error.to_string().contains("closed"), "{error}");
    }
    let closed = logged();
    assert_eq!(closed.len(), 4, "{closed:?}");
    assert!(
        closed.iter().all(|(level, fields)| *level == Level::DEBUG && fields.contains("has been closed"))
    );
    drop(guard);
    database.drop().await;
}
