//! What every command has at hand.

use chrono::{DateTime, FixedOffset, Local, Offset, TimeZone, Utc};
use tokio::sync::OnceCell;
use vestige_memory::{Memory, NoEmbedder};
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, MemoryStore};

use crate::config::Settings;
use crate::deadline::Deadline;
use crate::failure::CommandResult;
use crate::interrupt::Interrupt;
use crate::open::{self, Access};

pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) interrupt: Interrupt,
    pub(crate) deadline: Deadline,
    embedder: OnceCell<AnyEmbedder>,
}

impl App {
    pub(crate) fn new(settings: Settings, interrupt: Interrupt) -> Self {
        let deadline = Deadline::new(settings.timeout);
        Self { settings, interrupt, deadline, embedder: OnceCell::new() }
    }

    /// Opens the store. That may bring a large one to this version, so it takes as long as it takes;
    /// connecting and waiting for locks have limits of their own. The command's time begins afterwards.
    pub(crate) async fn open(&self, access: Access) -> CommandResult<AnyMemoryStore> {
        let store = open::store(&self.settings, access).await?;
        self.deadline.begin();
        Ok(store)
    }

    /// The configured model, loaded when it is first asked for.
    pub(crate) async fn embedder(&self) -> CommandResult<&AnyEmbedder> {
        self.embedder.get_or_try_init(async || open::embedder(&self.settings)).await
    }

    /// A memory for what embeds nothing: no model is loaded.
    pub(crate) async fn memory(&self, access: Access) -> CommandResult<Memory<AnyMemoryStore, NoEmbedder>> {
        Ok(Memory::new(self.open(access).await?, NoEmbedder))
    }

    /// A memory to write texts into, bound to the configured model. A model that cannot be loaded makes no
    /// store.
    pub(crate) async fn memory_for_texts(&self) -> CommandResult<Memory<AnyMemoryStore, AnyEmbedder>> {
        let embedder = self.embedder().await?.clone();
        let memory = Memory::new(self.open(Access::Write).await?, embedder);
        memory.register_model().await?;
        Ok(memory)
    }

    /// A memory to serve, and whether it may only be read. One that may be written is as
    /// [`memory_for_texts`](Self::memory_for_texts) makes it.
    pub(crate) async fn memory_to_serve(
        &self,
        allow_secrets: bool,
    ) -> CommandResult<(Memory<AnyMemoryStore, AnyEmbedder>, bool)> {
        let embedder = self.embedder().await?.clone();
        let store = self.open(Access::Read).await?;
        let read_only = open::is_read_only(&store).await;
        let has_model = store.registered_model().await?.is_some();
        let builder = Memory::builder(store, embedder).utc_offset(self.utc_offset());
        let memory = builder.allow_secrets(allow_secrets).build();
        // A store without a model could not take it in, and is searched by words.
        if !read_only || has_model {
            memory.register_model().await?;
        }
        Ok((memory, read_only))
    }

    /// A memory to ask. The model is loaded only if a question is to be `embedded`, and the store has
    /// vectors.
    pub(crate) async fn memory_to_ask(
        &self,
        embedded: bool,
    ) -> CommandResult<Memory<AnyMemoryStore, AnyEmbedder>> {
        let store = self.open(Access::Read).await?;
        let embedder = if embedded && store.registered_model().await?.is_some() {
            let embedder = self.embedder().await?.clone();
            self.deadline.begin();
            embedder
        } else {
            AnyEmbedder::new(NoEmbedder)
        };
        Ok(Memory::builder(store, embedder).utc_offset(self.utc_offset()).build())
    }

    /// The machine's offset from UTC now.
    fn utc_offset(&self) -> FixedOffset {
        Local.offset_from_utc_datetime(&self.now().naive_utc()).fix()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemClock.now()
    }
}
