//! The store and the model that are measured.

use anyhow::{Result, bail};
use tempfile::TempDir;
use vestige_embed::StaticEmbedder;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, Embedder, MemoryRecord, MemoryStore};

/// Memories in one transaction while a store is filled.
const BATCH: usize = 1000;

/// Which backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// `vestige-sqlite`, in a temporary file.
    Sqlite,
    /// `vestige-postgres`, in the database that the URL names, which must be empty.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// A store for one run, with what must outlive it.
pub struct Subject {
    /// The store.
    pub store: AnyMemoryStore,
    _home: Option<TempDir>,
}

impl Subject {
    /// A new, empty store.
    ///
    /// # Errors
    ///
    /// If the backend cannot be opened, or holds memories already.
    pub async fn open(backend: Backend, _postgres_url: Option<&str>) -> Result<Self> {
        let (store, home) = match backend {
            Backend::Sqlite => {
                let home = TempDir::new()?;
                let builder = SqliteMemoryStore::builder(home.path().join("memory.db"));
                (AnyMemoryStore::new(builder.durability(Durability::Process).open()?), Some(home))
            }
            #[cfg(feature = "postgres")]
            Backend::Postgres => {
                let Some(url) = _postgres_url else { bail!("--store postgres needs --postgres-url") };
                (AnyMemoryStore::new(vestige_postgres::PgMemoryStore::connect(url, 4).await?), None)
            }
        };
        if store.count().await? > 0 {
            bail!("the store holds memories already; give an empty one");
        }
        Ok(Self { store, _home: home })
    }

    /// Fills the store, with vectors where the model knows a word of the text.
    ///
    /// # Errors
    ///
    /// Whatever the store or the model says.
    pub async fn fill(&self, mut records: Vec<MemoryRecord>, model: &AnyEmbedder) -> Result<()> {
        self.store.register_model(model.signature()).await?;
        self.store.begin_bulk_load().await?;
        for batch in records.chunks_mut(BATCH) {
            embed(batch, model).await?;
            self.store.insert_batch(batch).await?;
        }
        self.store.finish_bulk_load().await?;
        Ok(())
    }
}

/// Gives each record the vector of its content, where the model knows a word of it.
async fn embed(records: &mut [MemoryRecord], model: &AnyEmbedder) -> Result<()> {
    let texts: Vec<&str> = records.iter().map(|record| record.content.as_str()).collect();
    let vectors = model.embed_documents(&texts).await?;
    records.iter_mut().zip(vectors).for_each(|(record, vector)| record.embedding = vector);
    Ok(())
}

/// The model of this name: `bundled`, and no other yet.
///
/// # Errors
///
/// If there is no such model here.
pub fn model(name: &str) -> Result<AnyEmbedder> {
    if name == "bundled" {
        return Ok(AnyEmbedder::new(StaticEmbedder::bundled()));
    }
    bail!("there is no model {name:?}: give `bundled`");
}
