//! The model inside the program, and how the command names models.

use vestige_embed::StaticEmbedder;
use vestige_traits::{AnyEmbedder, Embedder};

/// The model inside the program.
pub(crate) fn bundled() -> AnyEmbedder {
    AnyEmbedder::new(StaticEmbedder::bundled())
}

/// The value of `--model` for the model that a store names `name`.
pub(crate) fn model_flag(name: &str) -> &str {
    if name == StaticEmbedder::bundled().signature().name { "bundled" } else { name }
}
