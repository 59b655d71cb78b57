//! Models on ONNX Runtime.

use std::path::Path;

use vestige_embed::{FastembedEmbedder, FastembedOptions, Pooling, Preparation};
use vestige_traits::{AnyEmbedder, EmbedderError};

use crate::config::ModelChoice;
use crate::config_file::{self, Embeddings};
use crate::failure::{CommandResult, Failure};
use crate::models;

/// Opens a model that is not the bundled one. Blocks while it is read, hashed or downloaded.
pub(crate) fn open(model: &ModelChoice, settings: &Embeddings) -> CommandResult<AnyEmbedder> {
    let mut options = FastembedOptions::new();
    if let Some(library) = &settings.runtime {
        options = options.runtime(library);
    }
    if let Some(tokens) = settings.max_tokens {
        options = options.max_tokens(tokens);
    }
    let embedder = match model {
        ModelChoice::Bundled => return Ok(models::bundled()),
        ModelChoice::Named(name) => {
            let cache = settings.cache_dir.as_deref().ok_or_else(|| {
                Failure::message(
                    "there is no folder to keep the model in; name one as cache_dir in [embeddings]",
                )
            })?;
            FastembedEmbedder::from_hub(name, cache, &options)?
        }
        ModelChoice::Folder(folder) => {
            FastembedEmbedder::from_folder(folder, preparation(folder, settings)?, &options)?
        }
    };
    Ok(AnyEmbedder::new(embedder))
}

/// What the model in a folder wants done to a text: as the list knows it by the model's name, or as
/// configured.
fn preparation(folder: &Path, settings: &Embeddings) -> CommandResult<Preparation> {
    let own_name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = settings.name.clone().or(own_name).unwrap_or_default();
    let known = match settings.pooling {
        Some(pooling) => {
            let pooling = match pooling {
                config_file::Pooling::Mean => Pooling::Mean,
                config_file::Pooling::Cls => Pooling::Cls,
            };
            Preparation::new(name, pooling)
        }
        None => match Preparation::of(&name) {
            Ok(known) => return Ok(known),
            Err(EmbedderError::ModelUnavailable { .. }) => {
                return Err(Failure::message(format!(
                    "model {}: the list knows no model {name:?}; say in [embeddings] which one it is by `name`, \
                     or how to use it by `pooling` (mean or cls), `document_prefix` and `query_prefix`",
                    folder.display()
                )));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let text = |prefix: &Option<String>| prefix.clone().unwrap_or_default();
    Ok(known.prefixes(text(&settings.document_prefix), text(&settings.query_prefix)))
}
