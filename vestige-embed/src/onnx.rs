//! Models on ONNX Runtime, through fastembed.

mod catalog;
mod failure;
mod files;
mod model;
mod options;
mod preparation;
mod runtime;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};

use vestige_traits::{Embedder, EmbedderError, EmbedderResult, ModelSignature};

pub use self::options::FastembedOptions;
pub use self::preparation::{Pooling, Preparation};

use self::model::{Model, Side};
use self::worker::{Worker, guarded};

/// A transformer model on ONNX Runtime: one of fastembed's list by name, or any from a folder of files.
///
/// Needs the ONNX Runtime library, version 1.24 or later, at run time: by
/// [`FastembedOptions::runtime`], by the environment variable `ORT_DYLIB_PATH`,
/// or where the system finds libraries. ONNX Runtime's telemetry is turned off.
///
/// The model runs on a thread of its own, one text at a time: a text's vector
/// is the same whatever else was asked for, and no async worker waits.
/// Calls that overlap are answered in turn; a call whose future was dropped
/// is given up at its next text. Dropping the value waits for the text that is being embedded.
///
/// Text is read up to [`FastembedOptions::max_tokens`]. Prefixes are put on
/// as the model card says; the caller gives bare text.
pub struct FastembedEmbedder {
    signature: ModelSignature,
    worker: Worker,
}

impl FastembedEmbedder {
    /// Opens a model of the list by its published name, such as `BAAI/bge-small-en-v1.5`.
    ///
    /// `cache` is a folder in the layout of the Hugging Face hub. What it
    /// lacks is downloaded into it, silently; with everything there, no
    /// network is touched. As for all tools of the hub, the environment variables
    /// `HF_HOME` (a cache folder that goes before `cache`), `HF_ENDPOINT` and `HF_TOKEN` hold.
    ///
    /// Blocks for as long as reading, hashing or downloading the model takes: call it outside of async code.
    ///
    /// # Errors
    ///
    /// - [`EmbedderError::RuntimeUnavailable`] if ONNX Runtime is missing, too old, or broken.
    /// - [`EmbedderError::ModelUnavailable`] if no model has that name, or it is neither in the cache nor to
    ///   be downloaded.
    /// - [`EmbedderError::Unsupported`] if the model's vectors would depend on their batch.
    /// - [`EmbedderError::File`] if a file is damaged.
    /// - [`EmbedderError::Inference`] if the model does not answer.
    pub fn from_hub(
        model: &str,
        cache: impl AsRef<Path>,
        options: &FastembedOptions,
    ) -> EmbedderResult<Self> {
        catalog::find(model)?;
        let environment = runtime::environment(options.runtime.as_deref())?;
        let cache = hub_cache(cache.as_ref());
        Self::start(guarded(|| Model::from_hub(model, &cache, environment, options))?)
    }

    /// Opens a model from a folder that holds `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`.
    ///
    /// `config.json`, `tokenizer_config.json`, `special_tokens_map.json` and `model.onnx_data` are used where
    /// they are.
    ///
    /// Blocks for as long as reading and hashing the model takes: call it outside of async code.
    ///
    /// # Errors
    ///
    /// As for [`from_hub`](Self::from_hub).
    pub fn from_folder(
        folder: impl AsRef<Path>,
        preparation: Preparation,
        options: &FastembedOptions,
    ) -> EmbedderResult<Self> {
        let environment = runtime::environment(options.runtime.as_deref())?;
        Self::start(guarded(|| Model::from_folder(folder.as_ref(), preparation, environment, options))?)
    }

    /// The names that [`from_hub`](Self::from_hub) knows, in alphabetical order.
    #[must_use]
    pub fn models() -> Vec<&'static str> {
        catalog::names()
    }

    fn start((model, signature): (Model, ModelSignature)) -> EmbedderResult<Self> {
        tracing::debug!(model = %signature, "opened an embedding model");
        Ok(Self { signature, worker: Worker::start(model)? })
    }
}

impl Embedder for FastembedEmbedder {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        self.worker.embed(texts.iter().map(|&text| text.to_owned()).collect(), Side::Document).await
    }

    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        let mut vectors = self.worker.embed(vec![text.to_owned()], Side::Query).await?;
        vectors.pop().ok_or_else(|| EmbedderError::Inference("the model gave no answer".into()))
    }
}

impl fmt::Debug for FastembedEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastembedEmbedder").field("signature", &self.signature).finish_non_exhaustive()
    }
}

/// fastembed lets `HF_HOME` go before the folder it is given; the files are looked for in the same place.
fn hub_cache(cache: &Path) -> PathBuf {
    std::env::var("HF_HOME").map_or_else(|_| cache.to_path_buf(), PathBuf::from)
}
