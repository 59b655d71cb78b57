use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::{Clock, SystemClock, new_id};
use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::identity::LOCAL_USER_ID;
use crate::limits;
use crate::setters::setters;
use crate::words::words;

/// One memory.
///
/// ```
/// use vestige_traits::MemoryRecord;
///
/// let record = MemoryRecord::new("The staging database listens on port 5433.")
///     .node_type("fact")
///     .tags(["staging", "postgres"]);
/// assert_eq!(record.id.get_version_num(), 7);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryRecord {
    /// The key. Version 7 for new memories; any UUID is accepted.
    pub id: Uuid,
    /// The text, not blank, at most [`limits::MAX_CONTENT_BYTES`].
    pub content: String,
    /// What kind of memory it is. [`DEFAULT_NODE_TYPE`](Self::DEFAULT_NODE_TYPE) where nothing is said.
    pub node_type: String,
    /// Labels, in the order given.
    pub tags: Vec<String>,
    /// A JSON object of whatever else belongs to it.
    pub metadata: Value,
    /// The ids of the domains it belongs to.
    pub domains: Vec<String>,
    /// Its raw score per domain, finite.
    pub domain_scores: BTreeMap<String, f64>,
    /// Its vector under the registered model, or none.
    pub embedding: Option<Vec<f32>>,
    /// The code base it is about.
    pub codebase: Option<String>,
    /// The conversation or work session that it is part of. Memories of one session stand in it by
    /// (`created_at`, `id`).
    pub session: Option<String>,
    /// Who owns it.
    pub owner_user_id: Uuid,
    /// Who may see it.
    pub visibility: Visibility,
    /// The groups it is shared with when `visibility` is [`Visibility::Group`].
    pub shared_with_groups: Vec<Uuid>,
    /// When it was taken in, in whole microseconds.
    pub created_at: DateTime<Utc>,
    /// When it last changed, in whole microseconds. A store sets it on `update` and never else.
    pub updated_at: DateTime<Utc>,
}

/// Owned strings, for setters that take any.
pub(crate) fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

impl MemoryRecord {
    /// The type of a memory whose author names none.
    pub const DEFAULT_NODE_TYPE: &str = "general";

    /// A memory of `content` with a new id, taken in now, and the default of every other field.
    pub fn new(content: impl Into<String>) -> Self {
        Self::new_at(content, SystemClock.now())
    }

    /// A memory of `content` with a new id, taken in at `now`.
    pub fn new_at(content: impl Into<String>, now: DateTime<Utc>) -> Self {
        let now = limits::to_micros(now);
        Self::from_parts(new_id(now), content, Self::DEFAULT_NODE_TYPE, now)
    }

    /// A memory of `content` with this id and type, taken in at `now`, and the default of every other field:
    /// for backends, which fill in the rest from a row. It allocates nothing that a row replaces.
    pub fn from_parts(
        id: Uuid,
        content: impl Into<String>,
        node_type: impl Into<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            content: content.into(),
            node_type: node_type.into(),
            tags: Vec::new(),
            metadata: Value::Object(Map::new()),
            domains: Vec::new(),
            domain_scores: BTreeMap::new(),
            embedding: None,
            codebase: None,
            session: None,
            owner_user_id: LOCAL_USER_ID,
            visibility: Visibility::default(),
            shared_with_groups: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    setters! {
        /// Sets the key.
        id(id: Uuid) = id;
        /// Sets the text. The vector of the old text stays: set that too.
        content(content: impl Into<String>) = content.into();
        /// Sets what kind of memory it is.
        node_type(node_type: impl Into<String>) = node_type.into();
        /// Sets the labels.
        tags(tags: impl IntoIterator<Item = impl Into<String>>) = strings(tags);
        /// Sets whatever else belongs to it: a JSON object.
        metadata(metadata: Value) = metadata;
        /// Sets the ids of the domains it belongs to.
        domains(ids: impl IntoIterator<Item = impl Into<String>>) = strings(ids);
        /// Sets its raw score per domain.
        domain_scores(scores: BTreeMap<String, f64>) = scores;
        /// Sets its vector. An embedder's answer fits: `None` where the model knows no word of the text.
        embedding(embedding: impl Into<Option<Vec<f32>>>) = embedding.into();
        /// Sets the code base it is about.
        codebase(name: impl Into<String>) = Some(name.into());
        /// Sets the conversation or work session that it is part of.
        session(name: impl Into<String>) = Some(name.into());
        /// Sets who owns it.
        owner_user_id(user: Uuid) = user;
        /// Sets who may see it.
        visibility(visibility: Visibility) = visibility;
        /// Sets the groups it is shared with.
        shared_with_groups(groups: impl IntoIterator<Item = Uuid>) = groups.into_iter().collect();
        /// Sets when it was taken in.
        created_at(time: DateTime<Utc>) = time;
        /// Sets when it last changed.
        updated_at(time: DateTime<Utc>) = time;
    }

    /// Checks every rule that does not depend on what a store holds.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming the first field that breaks its rule.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        limits::check_text("content", &self.content, limits::MAX_CONTENT_BYTES)?;
        if self.content.trim().is_empty() {
            return Err(MemoryStoreError::invalid("content", "must not be empty"));
        }
        limits::check_name("node_type", &self.node_type)?;
        limits::check_names("tags", &self.tags)?;
        limits::check_metadata("metadata", &self.metadata)?;
        limits::check_names("domains", &self.domains)?;
        limits::check_len("domain_scores", self.domain_scores.len(), limits::MAX_LIST_ITEMS)?;
        for (domain, score) in &self.domain_scores {
            limits::check_name("domain_scores", domain)?;
            limits::check_number("domain_scores", *score, f64::MIN..=f64::MAX)?;
        }
        if let Some(embedding) = &self.embedding {
            limits::check_embedding("embedding", embedding)?;
        }
        if let Some(codebase) = &self.codebase {
            limits::check_name("codebase", codebase)?;
        }
        if let Some(session) = &self.session {
            limits::check_name("session", session)?;
        }
        limits::check_len("shared_with_groups", self.shared_with_groups.len(), limits::MAX_LIST_ITEMS)?;
        limits::check_time("created_at", self.created_at)?;
        limits::check_time("updated_at", self.updated_at)
    }

    /// Checks the record by [`validate`](Self::validate), and brings it into the form in which every backend
    /// stores it: times in whole microseconds, numbers as [`limits::normalize_json`] writes them.
    ///
    /// A store does the same with what it is given. Call this to show a record as it will be read back, or to
    /// refuse it before a store is opened.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate), and the record stays as it is.
    ///
    /// ```
    /// use vestige_traits::MemoryRecord;
    ///
    /// let mut record = MemoryRecord::new("The staging database listens on port 5433.");
    /// record.metadata = serde_json::json!({ "weight": -0.0 });
    /// record.prepare()?;
    /// assert_eq!(record.metadata.to_string(), r#"{"weight":0.0}"#);
    /// # Ok::<(), vestige_traits::MemoryStoreError>(())
    /// ```
    pub fn prepare(&mut self) -> MemoryStoreResult<()> {
        self.validate()?;
        self.normalize();
        Ok(())
    }

    /// Brings a valid record into the form in which every backend stores it.
    pub(crate) fn normalize(&mut self) {
        self.created_at = limits::to_micros(self.created_at);
        self.updated_at = limits::to_micros(self.updated_at);
        limits::normalize_json(&mut self.metadata);
        // Adding a positive zero turns a negative one positive and leaves every other number.
        self.domain_scores.values_mut().for_each(|score| *score += 0.0);
    }
}

/// Who may see a memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner.
    #[default]
    Private,
    /// Its owner and the groups it is shared with.
    Group,
    /// Everybody who can reach the store.
    Public,
}

words!(Visibility { Private: "private", Group: "group", Public: "public" } "visibility", "private, group or public");
