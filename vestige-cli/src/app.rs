//! What every command has at hand.

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, Embedder, EmbedderError, MemoryStore, MemoryStoreError};

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
        Ok(embed_documents(self.embedder().await?, &[text]).await?.pop().flatten())
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
        match embedder.embed_query(text).await {
            Ok(vector) => Ok(Some(vector)),
            Err(EmbedderError::NothingToEmbed { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// One vector for each text; none for a text in which the model knows no word.
pub(crate) async fn embed_documents<E: Embedder>(
    embedder: &E,
    texts: &[&str],
) -> Result<Vec<Option<Vec<f32>>>, EmbedderError> {
    let mut vectors = Vec::with_capacity(texts.len());
    while let Some(rest) = texts.get(vectors.len()..).filter(|rest| !rest.is_empty()) {
        let known = match embedder.embed_documents(rest).await {
            Ok(embedded) => {
                vectors.extend(embedded.into_iter().map(Some));
                break;
            }
            Err(EmbedderError::NothingToEmbed { index, .. }) if index < rest.len() => &rest[..index],
            Err(error) => return Err(error),
        };
        // All or nothing: what stands before the text without a vector has to be embedded again.
        vectors.extend(embedder.embed_documents(known).await?.into_iter().map(Some));
        vectors.push(None);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use vestige_embed::StaticEmbedder;

    use super::*;

    #[tokio::test]
    async fn a_text_without_a_known_word_leaves_the_others_their_vectors() {
        let embedder = AnyEmbedder::new(StaticEmbedder::bundled());
        let texts = ["\u{1}", "the harbour", "\u{2}", "\u{3}", "the mast", "\u{4}"];
        let vectors = embed_documents(&embedder, &texts).await.unwrap();
        let known: Vec<bool> = vectors.iter().map(Option::is_some).collect();
        assert_eq!(known, [false, true, false, false, true, false]);
        assert_eq!(vectors[4], Some(embedder.embed_documents(&["the mast"]).await.unwrap().remove(0)));
        assert!(embed_documents(&embedder, &[]).await.unwrap().is_empty());
    }
}
