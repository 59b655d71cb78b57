//! Memories over the reference store and over SQLite, and embedders that tell what they were asked.

#![allow(dead_code, unused_imports, reason = "each test file is a crate of its own and uses a part of this")]

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
pub(crate) use vestige_conformance::{Fault, FaultRule, FaultStore, HashEmbedder, ReferenceStore};
use vestige_memory::{Memory, MemoryBuilder};
use vestige_sqlite::SqliteMemoryStore;
use vestige_traits::clock::{ManualClock, SystemClock};
use vestige_traits::{Embedder, EmbedderError, EmbedderResult, ModelSignature};

/// Makes two tests of each function: one over the reference store, one over SQLite.
#[macro_export]
macro_rules! over_each_store {
    ($($name:ident),* $(,)?) => {
        mod reference {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::reference()).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name($crate::support::sqlite(&folder)).await;
            })*
        }
    };
}

pub(crate) fn start() -> DateTime<Utc> {
    "2026-01-31T12:00:00Z".parse().expect("a time")
}

pub(crate) fn reference() -> ReferenceStore {
    ReferenceStore::new(Arc::new(SystemClock))
}

pub(crate) fn sqlite(folder: &tempfile::TempDir) -> SqliteMemoryStore {
    SqliteMemoryStore::new(folder.path().join("m.db")).expect("a store")
}

pub(crate) fn embedder() -> HashEmbedder {
    HashEmbedder::new(64, 1)
}

/// A memory whose clock stands still until it is moved.
pub(crate) fn with_clock<S, E>(store: S, embedder: E) -> (Memory<S, E>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(start()));
    let builder: MemoryBuilder<S, E> = Memory::builder(store, embedder);
    (builder.clock(Arc::clone(&clock)).build(), clock)
}

/// An embedder that keeps what it was asked to embed. In a text of digits alone it knows no word.
#[derive(Debug)]
pub(crate) struct Recording {
    inner: HashEmbedder,
    pub(crate) documents: Mutex<Vec<String>>,
    pub(crate) queries: Mutex<Vec<String>>,
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self { inner: embedder(), documents: Mutex::default(), queries: Mutex::default() }
    }
}

impl Embedder for Recording {
    fn signature(&self) -> &ModelSignature {
        self.inner.signature()
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        self.documents.lock().unwrap().extend(texts.iter().map(|text| (*text).to_owned()));
        self.inner.embed_documents(texts).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.queries.lock().unwrap().push(text.to_owned());
        self.inner.embed_query(text).await
    }
}

/// A model that cannot compute.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) ModelSignature);

impl Broken {
    pub(crate) fn new() -> Self {
        Self(ModelSignature { name: "broken".into(), dimension: 4, hash: "0".repeat(64) })
    }
}

impl Embedder for Broken {
    fn signature(&self) -> &ModelSignature {
        &self.0
    }

    async fn embed_documents(&self, _: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        Err(EmbedderError::Inference("out of memory".into()))
    }

    async fn embed_query(&self, _: &str) -> EmbedderResult<Option<Vec<f32>>> {
        Err(EmbedderError::Inference("out of memory".into()))
    }
}
