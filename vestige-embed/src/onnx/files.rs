//! The files of a model: where they are, what they hash to.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fastembed::TokenizerFiles;
use serde_json::{Value, json};
use vestige_traits::{EmbedderError, EmbedderResult};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TOKENIZER_FILES: [&str; 4] = [TOKENIZER, CONFIG, SPECIAL_TOKENS, TOKENIZER_CONFIG];

/// An operator of models that are quantised anew for every batch, as ONNX spells it.
const DYNAMIC_OPERATOR: &[u8] = b"DynamicQuantizeLinear";

/// A folder that holds a model, and the names of those of its files that make it what it is.
pub(super) struct Files {
    folder: PathBuf,
    names: Vec<String>,
}

impl Files {
    /// The files of a model in a cache of the Hugging Face hub, if all of them are there.
    pub(super) fn in_cache(cache: &Path, repository: &str, model: &[&str]) -> Option<Self> {
        let repository = cache.join(format!("models--{}", repository.replace('/', "--")));
        let commit = fs::read_to_string(repository.join("refs/main")).ok()?;
        let folder = repository.join("snapshots").join(commit.trim());
        let names: Vec<String> = model.iter().chain(&TOKENIZER_FILES).map(|&name| name.to_owned()).collect();
        names.iter().all(|name| folder.join(name).is_file()).then_some(Self { folder, names })
    }

    /// The files of a model in a folder of their own. Only `model.onnx` and `tokenizer.json` must be there.
    pub(super) fn in_folder(folder: &Path) -> EmbedderResult<Self> {
        let there = |name: &&str| folder.join(name).is_file();
        let missing = |name: &str| EmbedderError::ModelUnavailable {
            model: folder.display().to_string(),
            reason: format!("the folder has no {name}"),
        };
        let model =
            ["model.onnx", "onnx/model.onnx"].into_iter().find(there).ok_or_else(|| missing("model.onnx"))?;
        if !there(&TOKENIZER) {
            return Err(missing(TOKENIZER));
        }
        let data = format!("{model}_data");
        let names =
            [model, &data].into_iter().chain(TOKENIZER_FILES).filter(there).map(str::to_owned).collect();
        Ok(Self { folder: folder.to_path_buf(), names })
    }

    /// Hashes the files, each after its name and its length.
    pub(super) fn hash_into(&self, hasher: &mut blake3::Hasher) -> EmbedderResult<()> {
        for name in &self.names {
            let path = self.folder.join(name);
            let mut hash = || {
                let mut file = File::open(&path)?;
                hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
                hasher.update(&file.metadata()?.len().to_le_bytes());
                io::copy(&mut file, hasher)
            };
            hash().map_err(|error| unreadable(&path, error))?;
        }
        Ok(())
    }

    pub(super) fn onnx(&self) -> EmbedderResult<Vec<u8>> {
        self.read(&self.names[0])
    }

    /// The file of weights beside the model, if there is one, and the name that the graph has for it.
    pub(super) fn external_weights(&self) -> EmbedderResult<Option<(String, Vec<u8>)>> {
        let Some(path) = self.names.iter().find(|name| name.ends_with("_data")) else { return Ok(None) };
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok(Some((name.to_owned(), self.read(path)?)))
    }

    /// The tokenizer's files; the small ones that are missing made up from `tokenizer.json`.
    pub(super) fn tokenizer(&self, max_tokens: usize) -> EmbedderResult<TokenizerFiles> {
        let given = |name: &str| {
            self.names.iter().find(|given| *given == name).map(|name| self.read(name)).transpose()
        };
        let tokenizer_file = self.read(TOKENIZER)?;
        let tokenizer_config_file = match given(TOKENIZER_CONFIG)? {
            Some(config) => config,
            None => json!({ "model_max_length": max_tokens, "pad_token": self.pad_token(&tokenizer_file)? })
                .to_string()
                .into(),
        };
        Ok(TokenizerFiles {
            tokenizer_file,
            tokenizer_config_file,
            config_file: given(CONFIG)?.unwrap_or_else(|| b"{}".to_vec()),
            special_tokens_map_file: given(SPECIAL_TOKENS)?.unwrap_or_else(|| b"{}".to_vec()),
        })
    }

    /// The token that fills short texts up, by `tokenizer.json`. Texts are embedded one by one: any will do.
    fn pad_token(&self, tokenizer: &[u8]) -> EmbedderResult<String> {
        let tokenizer: Value = serde_json::from_slice(tokenizer)
            .map_err(|error| unreadable(&self.folder.join(TOKENIZER), error))?;
        Ok(tokenizer["padding"]["pad_token"].as_str().unwrap_or("[PAD]").to_owned())
    }

    fn read(&self, name: &str) -> EmbedderResult<Vec<u8>> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(|error| unreadable(&path, error))
    }
}

/// Whether a model quantises its activations by the batch they are in.
pub(super) fn is_dynamic(onnx: &[u8]) -> bool {
    onnx.windows(DYNAMIC_OPERATOR.len()).any(|window| window == DYNAMIC_OPERATOR)
}

fn unreadable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> EmbedderError {
    EmbedderError::File { path: path.display().to_string(), source: Box::new(error) }
}
