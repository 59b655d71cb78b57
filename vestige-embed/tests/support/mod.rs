//! The assets that `cargo xtask assets` fetches.

use std::path::{Path, PathBuf};

use vestige_embed::FastembedOptions;

/// Where ONNX Runtime and MiniLM are.
pub(crate) struct Assets {
    runtime: PathBuf,
    /// A folder with `model.onnx` and `tokenizer.json`.
    pub(crate) minilm: PathBuf,
}

impl Assets {
    /// None, said loudly, where they were not fetched; a failure where `VESTIGE_REQUIRE_ASSETS=1`.
    #[allow(clippy::print_stderr, reason = "a test that did not run must say so")]
    pub(crate) fn find() -> Option<Self> {
        let folder = std::env::var_os("VESTIGE_ASSETS").map_or_else(
            || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("assets"),
            PathBuf::from,
        );
        let runtime = std::env::var_os("ORT_DYLIB_PATH")
            .map_or_else(|| folder.join("onnxruntime/libonnxruntime.so.1.32.0"), PathBuf::from);
        let minilm = folder.join("all-MiniLM-L6-v2");
        if runtime.is_file() && minilm.join("model.onnx").is_file() && minilm.join("tokenizer.json").is_file()
        {
            return Some(Self { runtime, minilm });
        }
        let todo = format!("no ONNX Runtime and MiniLM in {}: run `cargo xtask assets`", folder.display());
        assert!(std::env::var_os("VESTIGE_REQUIRE_ASSETS").is_none_or(|value| value != "1"), "{todo}");
        eprintln!("SKIPPED, NOT TESTED: {todo}");
        None
    }

    pub(crate) fn options(&self) -> FastembedOptions {
        FastembedOptions::new().runtime(&self.runtime)
    }
}
