//! ONNX Runtime that cannot be loaded. In a test binary of its own, since a process loads the library once.

#![cfg(feature = "fastembed")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::fs;

use vestige_embed::{FastembedEmbedder, FastembedOptions, Pooling, Preparation};
use vestige_traits::EmbedderError;

fn reason(options: &FastembedOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let by_folder =
        FastembedEmbedder::from_folder(folder.path(), Preparation::new("m", Pooling::Mean), options)
            .unwrap_err();
    let by_name = FastembedEmbedder::from_hub("all-MiniLM-L6-v2", folder.path(), options).unwrap_err();
    for error in [&by_folder, &by_name] {
        assert!(matches!(error, EmbedderError::RuntimeUnavailable { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    by_name.to_string()
}

#[test]
fn a_missing_library_is_named_with_what_to_do() {
    let message = reason(&FastembedOptions::new().runtime("/no/such/libonnxruntime.so"));
    assert!(message.contains("/no/such/libonnxruntime.so"), "{message}");
    assert!(message.contains("ORT_DYLIB_PATH"), "{message}");
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, "no library").unwrap();
    let message = reason(&FastembedOptions::new().runtime(&path));
    assert!(message.contains(&path.display().to_string()), "{message}");
}

#[test]
fn an_unknown_model_needs_no_library_to_be_refused() {
    let options = FastembedOptions::new().runtime("/no/such/libonnxruntime.so");
    let error = FastembedEmbedder::from_hub("no-such-model", "/no/such/cache", &options).unwrap_err();
    assert!(matches!(error, EmbedderError::ModelUnavailable { .. }), "{error}");
}
