#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cases;
pub mod fixtures;
pub mod hostile;
pub mod sequences;

mod embedder;
mod example;
mod factory;
mod faults;
mod macros;
mod random;
mod reference;

pub use embedder::HashEmbedder;
#[doc(hidden)]
pub use example::example;
pub use factory::{Erased, StoreFactory, TestBed};
pub use faults::{Fault, FaultRule, FaultStore, InjectedFault};
pub use reference::ReferenceStore;
