//! Sets of memories with questions and true answers.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vestige_traits::MemoryRecord;

/// A memory of a set.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetMemory {
    /// The set's own id.
    pub id: String,
    /// What it is searched within: becomes the codebase.
    pub scope: String,
    /// The conversation within its scope that it is part of, where the set has such.
    #[serde(default)]
    pub session: Option<String>,
    /// When it was said: see [`said_at`](crate::conversation::said_at).
    #[serde(default)]
    pub said_at: Option<String>,
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
#[derive(Debug, Serialize, Deserialize)]
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
    /// Ids of the memories that answer it; none where no memory does.
    pub relevant: Vec<String>,
    /// When it was asked, where the set says so: see [`said_at`](crate::conversation::said_at).
    #[serde(default)]
    pub asked_at: Option<String>,
}

impl Question {
    /// The category as text; none where the question has none.
    pub fn category_name(&self) -> Option<String> {
        match &self.category {
            serde_json::Value::Null => None,
            serde_json::Value::String(name) => Some(name.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// One half of a set's questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// The questions whose id has an even BLAKE3.
    A,
    /// The others.
    B,
}

impl Half {
    /// Whether the question of this id is in this half.
    pub fn holds(self, id: &str) -> bool {
        let odd = blake3::hash(id.as_bytes()).as_bytes()[0] % 2 == 1;
        odd == (self == Self::B)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_in_one_half_and_the_halves_are_even() {
        let ids: Vec<String> = (0..1000).map(|n| format!("q{n}")).collect();
        let a = ids.iter().filter(|id| Half::A.holds(id)).count();
        assert!((450..550).contains(&a), "{a}");
        assert!(ids.iter().all(|id| Half::A.holds(id) != Half::B.holds(id)));
    }

    #[test]
    fn a_category_is_a_name_a_number_or_missing() {
        let category = |json: &str| {
            let line = format!("{{\"id\":\"1\",\"scope\":\"s\",\"query\":\"q\",\"relevant\":[]{json}}}");
            serde_json::from_str::<Question>(&line).unwrap().category_name()
        };
        assert_eq!(category(r#","category":"n""#).as_deref(), Some("n"));
        assert_eq!(category(r#","category":3"#).as_deref(), Some("3"));
        assert_eq!(category(""), None);
    }
}
