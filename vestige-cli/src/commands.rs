//! The commands: one file each, with its flags, its `run` and its help.

pub(crate) mod add;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod due;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod mcp;
pub(crate) mod migrate;
pub(crate) mod neighbors;
pub(crate) mod restore;
pub(crate) mod review;
pub(crate) mod search;
pub(crate) mod stats;
pub(crate) mod trust;
pub(crate) mod unlink;
pub(crate) mod update;
