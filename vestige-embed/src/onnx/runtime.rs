//! ONNX Runtime, loaded once in a process.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;
use vestige_traits::{EmbedderError, EmbedderResult};

use super::failure::in_one_line;

const LIBRARY: &str = "ONNX Runtime";

/// The environment that all sessions of the process share.
///
/// fastembed would load the library itself, and panic where it is missing.
pub(super) fn environment(library: Option<&Path>) -> EmbedderResult<Environment> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let path = library.map_or_else(default_library, Path::to_path_buf);
    let loaded = ort::init_from(&path).map_err(|error| {
        let what = match &error {
            LoadDynamicError::Dlopen { error, path } => {
                format!("{} cannot be loaded: {}", path.display(), in_one_line(error))
            }
            other => other.to_string(),
        };
        unavailable(format!(
            "{what}; install ONNX Runtime 1.24 or later and name its library in ORT_DYLIB_PATH"
        ))
    })?;
    let started = loaded
        .with_name("vestige")
        .with_telemetry(false)
        .build()
        .map_err(|error| unavailable(format!("{} does not start: {error}", path.display())))?;
    tracing::debug!(library = %path.display(), "loaded ONNX Runtime");
    Ok(environment.insert(started).clone())
}

/// `ORT_DYLIB_PATH`, or where the system looks for libraries.
fn default_library() -> PathBuf {
    match std::env::var_os("ORT_DYLIB_PATH") {
        Some(path) if !path.is_empty() => path.into(),
        _ => format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}").into(),
    }
}

fn unavailable(reason: String) -> EmbedderError {
    EmbedderError::RuntimeUnavailable { library: LIBRARY.to_owned(), reason }
}
