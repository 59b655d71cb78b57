use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::record::MemoryRecord;

/// Where a memory comes from.
///
/// Every way in (command, file, server, library) states its context with this
/// type and lets [`apply`](Self::apply) write it into the record, so that the
/// same fact has the same place whoever tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestContext {
    /// The code base that was worked on: becomes [`MemoryRecord::codebase`].
    pub codebase: Option<String>,
    /// The MCP client's name and version: becomes `metadata.mcp_client_id`.
    pub mcp_client_id: Option<String>,
    /// The session it was said in: becomes [`MemoryRecord::session`], and `metadata.session_id`.
    pub session_id: Option<String>,
    /// The file it is about: becomes `metadata.file`.
    pub file: Option<String>,
    /// What it is about: becomes `metadata.topics`, an array of strings, where there are any.
    pub topics: Vec<String>,
}

impl IngestContext {
    /// Writes the context into `record`. What the context does not say stays as it was in the record.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming `metadata` if it is no JSON
    /// object; `record` is then unchanged.
    pub fn apply(&self, record: &mut MemoryRecord) -> MemoryStoreResult<()> {
        let Value::Object(metadata) = &mut record.metadata else {
            return Err(MemoryStoreError::invalid("metadata", "must be a JSON object"));
        };
        if let Some(codebase) = &self.codebase {
            record.codebase = Some(codebase.clone());
        }
        if let Some(session) = &self.session_id {
            record.session = Some(session.clone());
        }
        metadata.extend(self.metadata().map(|(key, value)| (key.to_owned(), value)));
        Ok(())
    }

    /// The entries that [`apply`](Self::apply) sets in [`MemoryRecord::metadata`].
    pub fn metadata(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let texts =
            [("mcp_client_id", &self.mcp_client_id), ("session_id", &self.session_id), ("file", &self.file)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key, Value::from(text.as_deref()?))));
        let topics = (!self.topics.is_empty()).then(|| ("topics", Value::from(self.topics.clone())));
        texts.chain(topics)
    }

    /// The first of `keys` that [`apply`](Self::apply) sets in the metadata, where it would replace the value
    /// given for it.
    pub fn overwrites(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Option<&'static str> {
        let set: Vec<_> = self.metadata().map(|(key, _)| key).collect();
        keys.into_iter().find_map(|key| set.iter().copied().find(|set| *set == key.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_of_the_context_reaches_its_place() {
        let mut record = MemoryRecord::new("text");
        record.metadata = json!({"kept": 1, "file": "old.rs"});
        let context = IngestContext {
            codebase: Some("vestige".into()),
            mcp_client_id: Some("editor 1.2".into()),
            session_id: Some("s1".into()),
            file: Some("new.rs".into()),
            topics: vec!["a".into(), "b".into()],
        };
        context.apply(&mut record).unwrap();
        assert_eq!((record.codebase.as_deref(), record.session.as_deref()), (Some("vestige"), Some("s1")));
        let expected = json!({
            "kept": 1, "mcp_client_id": "editor 1.2", "session_id": "s1", "file": "new.rs", "topics": ["a", "b"],
        });
        assert_eq!(record.metadata, expected);
    }

    #[test]
    fn a_key_that_the_context_sets_is_overwritten_and_no_other() {
        let context = IngestContext { file: Some("new.rs".into()), ..IngestContext::default() };
        assert_eq!(context.overwrites(["topics", "file", "session_id"]), Some("file"));
        assert_eq!(context.overwrites(["topics", "session_id", "files"]), None);
    }

    #[test]
    fn an_empty_context_changes_nothing() {
        let mut record = MemoryRecord::new("text");
        record.codebase = Some("kept".into());
        record.session = Some("kept".into());
        let before = record.clone();
        IngestContext::default().apply(&mut record).unwrap();
        assert_eq!(record, before);
    }
}
