//! all-MiniLM-L6-v2 on ONNX Runtime: token ids in, mean-pooled vectors out.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use ort::session::Session;
use ort::value::Tensor;
use tokenizers::Tokenizer;

use crate::matrix::Matrix;

const CLS: u32 = 101;
const SEP: u32 = 102;
/// Tokens of a text that are looked at, as the network was trained.
const MAX_TOKENS: usize = 254;
/// Texts for each run. Part of the recipe: the kernels' rounding may depend on it.
const BATCH: usize = 64;

pub(crate) struct Network {
    session: Session,
    tokenizer: Tokenizer,
}

impl Network {
    pub(crate) fn open(library: &Path, folder: &Path) -> Result<Self> {
        let environment = ort::init_from(library)
            .with_context(|| format!("cannot load {}", library.display()))?
            .build()
            .context("cannot start ONNX Runtime")?;
        let model = folder.join("model.onnx");
        let session = Session::builder(&environment)
            .and_then(|mut builder| builder.commit_from_file(&model))
            .with_context(|| format!("cannot load {}", model.display()))?;
        let file = folder.join("tokenizer.json");
        let mut tokenizer = Tokenizer::from_file(&file)
            .map_err(|error| anyhow!("cannot load {}: {error}", file.display()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| anyhow!("cannot set up the tokenizer: {error}"))?;
        Ok(Self { session, tokenizer })
    }

    /// The tokens by id.
    pub(crate) fn vocabulary(&self) -> Result<Vec<String>> {
        (0u32..)
            .take(self.tokenizer.get_vocab_size(true))
            .map(|id| {
                self.tokenizer.id_to_token(id).with_context(|| format!("the tokenizer has no token {id}"))
            })
            .collect()
    }

    /// The token ids of each text, without special tokens.
    pub(crate) fn tokenize(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        let encoded = self.tokenizer.encode_batch_fast(texts.iter().map(String::as_str).collect(), false);
        Ok(encoded.map_err(|error| anyhow!("{error}"))?.iter().map(|text| text.get_ids().to_vec()).collect())
    }

    /// One row for each list of tokens: [CLS] tokens [SEP] through the network, the mean of all positions.
    pub(crate) fn embed_tokens(&mut self, lists: &[Vec<u32>]) -> Result<Matrix> {
        // Lists of one length go together, so that little is padded.
        let mut order: Vec<usize> = (0..lists.len()).collect();
        order.sort_by_key(|&list| lists[list].len());
        let mut rows = vec![Vec::new(); lists.len()];
        for batch in order.chunks(BATCH) {
            let inputs: Vec<Vec<u32>> = batch
                .iter()
                .map(|&list| {
                    let tokens = &lists[list][..lists[list].len().min(MAX_TOKENS)];
                    [&[CLS], tokens, &[SEP]].concat()
                })
                .collect();
            for (&list, row) in batch.iter().zip(self.run(&inputs)?) {
                rows[list] = row;
            }
        }
        Ok(Matrix::from_rows(&rows))
    }

    fn run(&mut self, inputs: &[Vec<u32>]) -> Result<Vec<Vec<f64>>> {
        let longest = inputs.iter().map(Vec::len).max().unwrap_or(0);
        let shape = [inputs.len(), longest];
        let padded = |of: &dyn Fn(u32) -> i64| -> Vec<i64> {
            let pad = |input: &Vec<u32>| {
                let mut row: Vec<i64> = input.iter().map(|&id| of(id)).collect();
                row.resize(longest, 0);
                row
            };
            inputs.iter().flat_map(pad).collect()
        };
        let outputs = self.session.run(ort::inputs! {
            "input_ids" => Tensor::from_array((shape, padded(&|id| id.into())))?,
            "attention_mask" => Tensor::from_array((shape, padded(&|_| 1)))?,
            "token_type_ids" => Tensor::from_array((shape, padded(&|_| 0)))?,
        })?;
        let (shape, states) = outputs["last_hidden_state"].try_extract_tensor::<f32>()?;
        let width = usize::try_from(shape[2])?;
        ensure!(
            states.len() == inputs.len() * longest * width,
            "the network answers in an unknown shape {shape:?}"
        );
        let mean = |(input, states): (&Vec<u32>, &[f32])| {
            let mut mean = vec![0.0; width];
            for state in states.chunks_exact(width).take(input.len()) {
                mean.iter_mut().zip(state).for_each(|(mean, &x)| *mean += f64::from(x));
            }
            let count = f64::from(u32::try_from(input.len()).unwrap_or(u32::MAX));
            mean.iter_mut().for_each(|mean| *mean /= count);
            mean
        };
        Ok(inputs.iter().zip(states.chunks_exact(longest * width)).map(mean).collect())
    }
}
