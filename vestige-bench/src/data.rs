//! Sets of memories with questions and true answers.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use vestige_traits::MemoryRecord;

/// A memory of a set.
#[derive(Debug, Deserialize)]
pub struct SetMemory {
    /// The set's own id.
    pub id: String,
    /// What it is searched within: becomes the codebase.
    pub scope: String,
    /// The text.
    pub content: String,
}

impl SetMemory {
    /// A record with an id that follows from the set's, so that loading twice gives the same store.
    pub fn to_record(&self) -> MemoryRecord {
        let mut record = MemoryRecord::new(&self.content);
        record.id = record_id(&self.id, &self.content);
        record.codebase = Some(self.scope.clone());
        record
    }
}

/// The record id of a set's memory: a UUID of version 8 over the BLAKE3 of its id and its text,
/// since a set may give one id to two memories.
pub fn record_id(id: &str, content: &str) -> Uuid {
    let hash =
        blake3::Hasher::new().update(id.as_bytes()).update(b"\0").update(content.as_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A question with the ids of the memories that answer it.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The set's own id.
    pub id: String,
    /// What it is searched within.
    pub scope: String,
    /// What kind of question it is; a name or a number.
    #[serde(default)]
    pub category: serde_json::Value,
    /// The question.
    pub query: String,
    /// Ids of the memories that answer it.
    pub relevant: Vec<String>,
}

/// Reads a file of JSON lines.
///
/// # Errors
///
/// Names the file, and the line that cannot be read.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    BufReader::new(file)
        .lines()
        .enumerate()
        .map(|(at, line)| {
            let place = || format!("{}:{}", path.display(), at + 1);
            serde_json::from_str(&line.with_context(place)?).with_context(place)
        })
        .collect()
}
