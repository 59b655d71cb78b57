#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod budget;
mod catalog;
mod error;
mod lines;
mod metadata;
mod methods;
mod nearby;
mod opening;
mod origin;
mod resources;
mod serve;
mod server;
mod shape;
mod tools;
mod view;
mod when;

pub use error::ServeError;
pub use lines::LineTransport;
pub use serve::{Ended, serve, serve_stdio};
pub use server::Server;
