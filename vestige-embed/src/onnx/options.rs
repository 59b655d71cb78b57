use std::num::NonZeroUsize;
use std::path::PathBuf;

/// How a model is run.
#[derive(Clone, Debug)]
pub struct FastembedOptions {
    pub(super) runtime: Option<PathBuf>,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) max_tokens: usize,
}

impl Default for FastembedOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl FastembedOptions {
    /// ONNX Runtime from `ORT_DYLIB_PATH` or the system, all cores, 512 tokens.
    #[must_use]
    pub fn new() -> Self {
        Self { runtime: None, threads: None, max_tokens: 512 }
    }

    /// The ONNX Runtime library to load. A process loads one, once: after that this is not looked at.
    #[must_use]
    pub fn runtime(mut self, library: impl Into<PathBuf>) -> Self {
        self.runtime = Some(library.into());
        self
    }

    /// The threads that one text is computed with.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The model's window: text beyond it is not looked at. The model's own limit holds where it is lower.
    ///
    /// Part of the signature: another window is another model.
    #[must_use]
    pub fn max_tokens(mut self, tokens: NonZeroUsize) -> Self {
        self.max_tokens = tokens.get();
        self
    }
}
