//! What every command has at hand.

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, Embedder, MemoryStore, MemoryStoreError};

use crate::config::Settings;
use crate::failure::CommandResult;
use crate::interrupt::Interrupt;
use crate::open::{self, Access};

pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) interrupt: Interrupt,
    embedder: OnceCell<AnyEmbedder>,
}

impl App {
    pub(crate) fn new(settings: Settings, interrupt: Interrupt) -> Self {
        Self { settings, interrupt, embedder: OnceCell::new() }
    }

    pub(crate) async fn open(&self, access: Access) -> CommandResult<AnyMemoryStore> {
        open::store(&self.settings, access).await
    }

    /// The configured model, loaded when it is first asked for.
    pub(crate) async fn embedder(&self) -> CommandResult<&AnyEmbedder> {
        self.embedder.get_or_try_init(async || open::embedder(&self.settings)).await
    }

    /// A store to write memories into, whose vectors are those of the configured model.
    pub(crate) async fn open_for_vectors(&self) -> CommandResult<AnyMemoryStore> {
        let embedder = self.embedder().await?;
        let store = self.open(Access::Write).await?;
        store.register_model(embedder.signature()).await?;
        Ok(store)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }

    /// The vector of one text to be stored; none if the model knows none of its words.
    pub(crate) async fn embed_document(&self, text: &str) -> CommandResult<Option<Vec<f32>>> {
        Ok(self.embedder().await?.embed_documents(&[text]).await?.pop().flatten())
    }

    /// The vector of a question; none if the store has no vectors yet, or the model knows none of the words.
    ///
    /// Fails if the store's vectors are another model's.
    pub(crate) async fn embed_query(
        &self,
        store: &AnyMemoryStore,
        text: &str,
    ) -> CommandResult<Option<Vec<f32>>> {
        let Some(registered) = store.registered_model().await? else { return Ok(None) };
        let embedder = self.embedder().await?;
        if *embedder.signature() != registered {
            return Err(MemoryStoreError::model_mismatch(&registered, embedder.signature()).into());
        }
        store.register_model(&registered).await?;
        Ok(embedder.embed_query(text).await?)
    }
}
