//! Vectors of texts, and how long they take.

use std::time::{Duration, Instant};

use vestige_traits::{Embedder, EmbedderError};

/// The vector of each text. Vectors must not be given to the wrong memories, so an answer of another length
/// is an error.
pub(super) async fn embed_texts(
    embedder: &(impl Embedder + Sync),
    texts: &[&str],
) -> Result<Vec<Option<Vec<f32>>>, EmbedderError> {
    let vectors = embedder.embed_documents(texts).await?;
    if vectors.len() != texts.len() {
        let reason = format!("{} vectors came back for {} texts", vectors.len(), texts.len());
        return Err(EmbedderError::Inference(reason.into()));
    }
    Ok(vectors)
}

/// For plans: how long something took.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let result = work.await;
    (result, began.elapsed())
}
