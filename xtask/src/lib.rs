#![doc = include_str!("../README.md")]

pub mod assets;
pub mod bench;
pub mod ci;
pub mod distill;
pub mod fuzz;
pub mod growth;
pub mod pg;
pub mod process;
pub mod project;
pub mod report;
pub mod runner;
pub mod sbom;
pub mod sqlx_prepare;
pub mod test;
pub mod tidy;
pub mod torture;
pub mod versus;

mod cli;

pub use cli::Command;
