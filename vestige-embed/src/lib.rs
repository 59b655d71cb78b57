#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "static")]
mod bundled;
#[cfg(feature = "fastembed")]
mod onnx;

#[cfg(feature = "static")]
pub use bundled::StaticEmbedder;
#[cfg(feature = "fastembed")]
pub use onnx::{FastembedEmbedder, FastembedOptions, Pooling, Preparation};
