//! A model that is open: texts in, vectors out, on the calling thread.

use std::path::Path;

use fastembed::{
    InitOptionsUserDefined, QuantizationMode, TextEmbedding, TextInitOptions, UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use vestige_traits::{EmbedderError, EmbedderResult, ModelSignature};

use super::catalog;
use super::failure::{DYNAMIC, in_one_line};
use super::files::{self, Files};
use super::options::FastembedOptions;
use super::preparation::{Pooling, Preparation};

/// Bytes of a text that are looked at for each token of the window: more than any text of words needs,
/// and an end to the tokenizer's work on a hostile one.
const BYTES_PER_TOKEN: usize = 128;

/// What a text means to the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Document,
    Query,
}

pub(super) struct Model {
    inference: TextEmbedding,
    preparation: Preparation,
    window: usize,
    unknown: Option<u32>,
}

impl Model {
    /// Opens a model of the list, from the cache or from the hub.
    pub(super) fn from_hub(
        model: &str,
        cache: &Path,
        environment: Environment,
        options: &FastembedOptions,
    ) -> EmbedderResult<(Self, ModelSignature)> {
        let id = catalog::find(model)?;
        let unavailable = |reason| EmbedderError::ModelUnavailable { model: model.to_owned(), reason };
        let info = TextEmbedding::get_model_info(&id).map_err(|error| unavailable(error.to_string()))?;
        let wanted: Vec<&str> =
            std::iter::once(&info.model_file).chain(&info.additional_files).map(String::as_str).collect();

        let mut init = TextInitOptions::new(id.clone())
            .with_cache_dir(cache.to_path_buf())
            .with_environment(environment)
            .with_max_length(options.max_tokens)
            .with_show_download_progress(false);
        if let Some(threads) = options.threads {
            init = init.with_intra_threads(threads.get());
        }
        let cached = Files::in_cache(cache, &info.model_code, &wanted).is_some();
        if !cached {
            tracing::info!(model, repository = info.model_code, cache = %cache.display(), "downloading a model");
        }
        let inference = TextEmbedding::try_new(init).map_err(|error| {
            if cached {
                return damaged(&cache.join(&info.model_code), error);
            }
            unavailable(format!(
                "{} is not in the cache {} and cannot be downloaded ({}); connect once, or copy a cache that has it",
                info.model_code,
                cache.display(),
                in_one_line(&error)
            ))
        })?;
        let files = Files::in_cache(cache, &info.model_code, &wanted).ok_or_else(|| {
            unavailable(format!("{} has no whole copy of {}", cache.display(), info.model_code))
        })?;
        Self::open(inference, &files, catalog::preparation(&id), options)
    }

    /// Opens a model from its files.
    pub(super) fn from_folder(
        folder: &Path,
        preparation: Preparation,
        environment: Environment,
        options: &FastembedOptions,
    ) -> EmbedderResult<(Self, ModelSignature)> {
        let files = Files::in_folder(folder)?;
        let onnx = files.onnx()?;
        if files::is_dynamic(&onnx) {
            let reason = DYNAMIC.to_owned();
            return Err(EmbedderError::Unsupported { model: preparation.name, reason });
        }
        let mut model = UserDefinedEmbeddingModel::new(onnx, files.tokenizer(options.max_tokens)?)
            .with_quantization(QuantizationMode::None)
            .with_pooling(match preparation.pooling {
                Pooling::Mean => fastembed::Pooling::Mean,
                Pooling::Cls => fastembed::Pooling::Cls,
            });
        if let Some((name, bytes)) = files.external_weights()? {
            model = model.with_external_initializer(name, bytes);
        }
        let mut init =
            InitOptionsUserDefined::new().with_environment(environment).with_max_length(options.max_tokens);
        if let Some(threads) = options.threads {
            init = init.with_intra_threads(threads.get());
        }
        let inference =
            TextEmbedding::try_new_from_user_defined(model, init).map_err(|error| damaged(folder, error))?;
        Self::open(inference, &files, preparation, options)
    }

    fn open(
        inference: TextEmbedding,
        files: &Files,
        preparation: Preparation,
        options: &FastembedOptions,
    ) -> EmbedderResult<(Self, ModelSignature)> {
        let window = options.max_tokens.saturating_mul(BYTES_PER_TOKEN);
        let mut hasher = blake3::Hasher::new();
        files.hash_into(&mut hasher)?;
        hasher.update(describe(&preparation, options.max_tokens, window).as_bytes());

        let unknown = ["[UNK]", "<unk>"].into_iter().find_map(|token| inference.tokenizer.token_to_id(token));
        let mut model = Self { inference, preparation, window, unknown };
        // What the model answers is the truth about its dimension, and that it answers at all is worth
        // knowing now.
        let dimension = model.infer("a".to_owned())?.len();
        let name = model.preparation.name.clone();
        let signature =
            ModelSignature { name: name.clone(), dimension, hash: hasher.finalize().to_hex().to_string() };
        signature
            .validate()
            .map_err(|error| EmbedderError::Unsupported { model: name, reason: error.to_string() })?;
        Ok((model, signature))
    }

    /// The vector of a text; none if the tokenizer knows no word of it.
    pub(super) fn embed(&mut self, text: &str, side: Side) -> EmbedderResult<Option<Vec<f32>>> {
        let text = &text[..text.floor_char_boundary(self.window)];
        if !self.knows_a_word_of(text)? {
            return Ok(None);
        }
        let prefix = match side {
            Side::Document => &self.preparation.document_prefix,
            Side::Query => &self.preparation.query_prefix,
        };
        self.infer(format!("{prefix}{text}")).map(Some)
    }

    /// The tokenizer sees each text twice; against the network, that is nothing.
    fn knows_a_word_of(&self, text: &str) -> EmbedderResult<bool> {
        let tokens = self.inference.tokenizer.encode_fast(text, false).map_err(EmbedderError::Inference)?;
        Ok(tokens.get_ids().iter().any(|&id| Some(id) != self.unknown))
    }

    /// One text in each run: in a batch with longer ones its last bits would be others.
    fn infer(&mut self, text: String) -> EmbedderResult<Vec<f32>> {
        let vectors = self
            .inference
            .embed([text], Some(1))
            .map_err(|error| EmbedderError::Inference(Box::new(error)))?;
        let wrong =
            || EmbedderError::Inference("the model's answer is not one vector of finite numbers".into());
        let vector = vectors.into_iter().next().ok_or_else(wrong)?;
        if vector.iter().all(|x| x.is_finite()) { Ok(vector) } else { Err(wrong()) }
    }
}

/// What is done to a text beside what the files say. It is hashed: a change here is another model.
fn describe(preparation: &Preparation, max_tokens: usize, window: usize) -> String {
    let Preparation { pooling, document_prefix, query_prefix, .. } = preparation;
    format!(
        "first {window} bytes; {max_tokens} tokens; document prefix {document_prefix:?}; query prefix {query_prefix:?}; \
         pooling {pooling:?}; unit length (L2)"
    )
}

fn damaged(path: &Path, error: fastembed::Error) -> EmbedderError {
    EmbedderError::File { path: path.display().to_string(), source: Box::new(error) }
}
