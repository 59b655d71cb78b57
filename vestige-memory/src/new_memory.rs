use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use vestige_traits::clock::new_id;
use vestige_traits::{IngestContext, MemoryRecord, MemoryStoreResult};

use crate::tags::add_tags;

/// A memory to store: its text, and whatever is to be kept with it.
///
/// A text alone will do, so [`remember`](crate::Memory::remember) takes a `&str` too.
///
/// ```
/// use vestige_memory::NewMemory;
///
/// let memory = NewMemory::new("Staging's database listens on 5433.")
///     .node_type("fact")
///     .tags(["staging", "postgres"])
///     .codebase("tidewater");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "it is stored by `Memory::remember`"]
pub struct NewMemory {
    /// All fields but those that follow: its own key and times are not looked at.
    record: MemoryRecord,
    id: Option<Uuid>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    context: IngestContext,
}

impl NewMemory {
    /// A memory of `content`: one statement that can be understood by itself.
    ///
    /// It gets a new id, the time at which it is stored, the type
    /// [`DEFAULT_NODE_TYPE`](vestige_traits::MemoryRecord::DEFAULT_NODE_TYPE), and nothing else.
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            record: MemoryRecord::new_at(content, DateTime::UNIX_EPOCH),
            id: None,
            created_at: None,
            updated_at: None,
            context: IngestContext::default(),
        }
    }

    /// Its id. Default: a new one of version 7.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// What kind of memory it is, such as `fact`, `decision` or `bug`.
    pub fn node_type(mut self, node_type: impl Into<String>) -> Self {
        self.record.node_type = node_type.into();
        self
    }

    /// Labels to filter by, beside those it has. A tag that is given twice counts once.
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        add_tags(&mut self.record.tags, &tags);
        self
    }

    /// The code base it is about.
    pub fn codebase(mut self, codebase: impl Into<String>) -> Self {
        self.record.codebase = Some(codebase.into());
        self
    }

    /// The conversation or work session that it is part of. Memories of one session stand in it by
    /// `created_at`, then by their id; those of one call without times, in the order in which they are given.
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.record.session = Some(session.into());
        self
    }

    /// A JSON object of whatever else belongs to it.
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.record.metadata = metadata;
        self
    }

    /// When it was taken in, if not now.
    pub fn created_at(mut self, created_at: DateTime<Utc>) -> Self {
        self.created_at = Some(created_at);
        self
    }

    /// Where it comes from: session, file, topics, code base. What the context says replaces what was said
    /// before.
    pub fn context(mut self, context: IngestContext) -> Self {
        self.context = context;
        self
    }

    /// Checks the memory as [`remember`](crate::Memory::remember) does before it stores it, without a store.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](vestige_traits::MemoryStoreError::InvalidInput) naming the field that breaks a rule.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        self.clone().into_record(DateTime::UNIX_EPOCH).map(drop)
    }

    /// Whether it has been given its key.
    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// The record to store, checked and as the store keeps it.
    pub(crate) fn into_record(self, now: DateTime<Utc>) -> MemoryStoreResult<MemoryRecord> {
        let mut record = self.record;
        record.created_at = self.created_at.unwrap_or(now);
        record.updated_at = self.updated_at.unwrap_or(record.created_at);
        record.id = self.id.unwrap_or_else(|| new_id(record.created_at));
        record.embedding = None;
        self.context.apply(&mut record)?;
        record.prepare()?;
        Ok(record)
    }
}

impl From<&str> for NewMemory {
    fn from(content: &str) -> Self {
        Self::new(content)
    }
}

impl From<String> for NewMemory {
    fn from(content: String) -> Self {
        Self::new(content)
    }
}

impl From<MemoryRecord> for NewMemory {
    /// The same memory, id and times included. Its vector is made anew.
    fn from(record: MemoryRecord) -> Self {
        Self {
            id: Some(record.id),
            created_at: Some(record.created_at),
            updated_at: Some(record.updated_at),
            context: IngestContext::default(),
            record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> DateTime<Utc> {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_text_alone_gets_the_present_and_a_new_id() {
        let record = NewMemory::from("text").into_record(now()).unwrap();
        assert_eq!((record.created_at, record.updated_at), (now(), now()));
        assert_eq!(record.id.get_timestamp().map(|at| at.to_unix().0), u64::try_from(now().timestamp()).ok());
        assert_eq!(record.node_type, vestige_traits::MemoryRecord::DEFAULT_NODE_TYPE);
    }

    #[test]
    fn an_earlier_time_is_that_of_the_id_too() {
        let earlier = now() - chrono::TimeDelta::days(400);
        let record = NewMemory::new("text").created_at(earlier).into_record(now()).unwrap();
        assert_eq!((record.created_at, record.updated_at), (earlier, earlier));
        let of_id = record.id.get_timestamp().map(|at| at.to_unix().0);
        assert_eq!(of_id, u64::try_from(earlier.timestamp()).ok());
    }

    #[test]
    fn a_record_stays_as_it_is_but_for_its_vector() {
        let mut record = MemoryRecord::new_at("text", now());
        record.updated_at = now() + chrono::TimeDelta::days(1);
        record.metadata = json!({"ticket": "QW-204"});
        record.embedding = Some(vec![1.0]);
        let kept = NewMemory::from(record.clone()).into_record(DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(kept, record.embedding(None));
    }

    #[test]
    fn tags_come_once_and_the_context_has_the_last_word() {
        let context = IngestContext { file: Some("new.rs".into()), ..IngestContext::default() };
        let memory = NewMemory::new("text").tags(["a", "b", "a"]).tags(["b", "c"]).session("monday");
        let record = memory.metadata(json!({"file": "old.rs"})).context(context).into_record(now()).unwrap();
        assert_eq!((record.tags.join(" "), record.session.as_deref()), ("a b c".to_owned(), Some("monday")));
        assert_eq!(record.metadata, json!({"file": "new.rs"}));
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        assert!(NewMemory::new("  ").into_record(now()).is_err());
        assert!(NewMemory::new("text").metadata(json!([])).into_record(now()).is_err());
    }
}
