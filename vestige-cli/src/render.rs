//! Memories as people and machines read them.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use vestige_memory::text::{excerpt, labels, one_line, place, printable, shortened};
use vestige_memory::times::rfc3339;
use vestige_memory::{Nearby, ResultInContext};
use vestige_traits::{MemoryRecord, Passage, SearchResult, Visibility};

use crate::output::{BOLD, CYAN, DIM, Styled};

/// A memory for machines: everything but its vector.
#[derive(Serialize)]
pub(crate) struct MemoryJson<'a> {
    id: Uuid,
    content: &'a str,
    node_type: &'a str,
    tags: &'a [String],
    codebase: Option<&'a str>,
    /// Left out where it is part of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    metadata: &'a Value,
    domains: &'a [String],
    owner_user_id: Uuid,
    visibility: Visibility,
    shared_with_groups: &'a [Uuid],
    /// Whether it has a vector, and so is found by meaning.
    embedded: bool,
}

impl<'a> From<&'a MemoryRecord> for MemoryJson<'a> {
    fn from(record: &'a MemoryRecord) -> Self {
        Self {
            id: record.id,
            content: &record.content,
            node_type: &record.node_type,
            tags: &record.tags,
            codebase: record.codebase.as_deref(),
            session: record.session.as_deref(),
            created_at: record.created_at,
            updated_at: record.updated_at,
            metadata: &record.metadata,
            domains: &record.domains,
            owner_user_id: record.owner_user_id,
            visibility: record.visibility,
            shared_with_groups: &record.shared_with_groups,
            embedded: record.embedding.is_some(),
        }
    }
}

/// A result for machines. The keys and their order are a promise.
#[derive(Serialize)]
pub(crate) struct HitJson<'a> {
    id: Uuid,
    score: f64,
    fts_score: Option<f64>,
    vector_score: Option<f64>,
    content: &'a str,
    /// The part of a long content whose words match best, in characters. Left out of a short one.
    #[serde(skip_serializing_if = "Option::is_none")]
    passage: Option<Passage>,
    node_type: &'a str,
    tags: &'a [String],
    codebase: Option<&'a str>,
    /// Left out where it is part of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    created_at: DateTime<Utc>,
    metadata: &'a Value,
    /// Both left out where they were not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<NearbyJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Vec<NearbyJson<'a>>>,
}

/// A memory near a result in its session, for machines.
#[derive(Serialize)]
struct NearbyJson<'a> {
    /// Its number among the results, from 1; null if it is none of them.
    result: Option<usize>,
    id: Uuid,
    content: &'a str,
    node_type: &'a str,
    tags: &'a [String],
    codebase: Option<&'a str>,
    created_at: DateTime<Utc>,
    metadata: &'a Value,
}

impl<'a> HitJson<'a> {
    /// A result with what stands around it.
    pub(crate) fn in_context(hit: &'a ResultInContext) -> Self {
        let nearby = |near: &'a [Nearby]| Some(near.iter().map(NearbyJson::from).collect());
        Self { before: nearby(&hit.before), after: nearby(&hit.after), ..Self::from(&hit.result) }
    }
}

impl<'a> From<&'a Nearby> for NearbyJson<'a> {
    fn from(near: &'a Nearby) -> Self {
        let record = &near.record;
        Self {
            result: near.result,
            id: record.id,
            content: &record.content,
            node_type: &record.node_type,
            tags: &record.tags,
            codebase: record.codebase.as_deref(),
            created_at: record.created_at,
            metadata: &record.metadata,
        }
    }
}

impl<'a> From<&'a SearchResult> for HitJson<'a> {
    fn from(hit: &'a SearchResult) -> Self {
        let record = &hit.record;
        Self {
            id: record.id,
            score: hit.score,
            fts_score: hit.fts_score,
            vector_score: hit.vector_score,
            content: &record.content,
            passage: hit.passage,
            node_type: &record.node_type,
            tags: &record.tags,
            codebase: record.codebase.as_deref(),
            session: record.session.as_deref(),
            created_at: record.created_at,
            metadata: &record.metadata,
            before: None,
            after: None,
        }
    }
}

/// A memory in two lines: its labels and id, and the beginning of its text.
pub(crate) fn brief(record: &MemoryRecord) -> String {
    format!(
        "{}  {}\n   {}",
        Styled(CYAN, record.id),
        Styled(DIM, labels(record)),
        shortened(&record.content, 240)
    )
}

/// What a search shows of a memory: of a long one the passage that matches best, with its place, and of
/// another its beginning.
pub(crate) fn matching(hit: &SearchResult) -> String {
    let content = &hit.record.content;
    match hit.passage {
        None => format!("    {}", shortened(content, 300)),
        Some(passage) => {
            let place = place(passage, content.chars().count());
            format!("    {}\n    {}", excerpt(content, passage, SHOWN_PASSAGE), Styled(DIM, place))
        }
    }
}

/// How much of a passage is shown, in characters. It has about 96 words.
const SHOWN_PASSAGE: usize = 1000;

/// A memory whole.
pub(crate) fn whole(record: &MemoryRecord) -> String {
    let mut text = format!("{}\n", Styled(CYAN, record.id));
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{} {value}", Styled(BOLD, format_args!("{name:<11}")));
        }
    };
    field("type", one_line(&record.node_type));
    field("tags", record.tags.iter().map(|tag| one_line(tag)).collect::<Vec<_>>().join(", "));
    field("codebase", record.codebase.as_deref().map(one_line).unwrap_or_default());
    field("session", record.session.as_deref().map(one_line).unwrap_or_default());
    field("created", rfc3339(record.created_at));
    if record.updated_at != record.created_at {
        field("updated", rfc3339(record.updated_at));
    }
    field("domains", record.domains.iter().map(|domain| one_line(domain)).collect::<Vec<_>>().join(", "));
    if record.visibility != Visibility::Private {
        field("visibility", record.visibility.to_string());
    }
    if record.metadata.as_object().is_some_and(|map| !map.is_empty()) {
        field("metadata", one_line(&record.metadata.to_string()));
    }
    if record.embedding.is_none() {
        field("vector", "none: found by words only".to_owned());
    }
    text.push('\n');
    text.push_str(&indented(&record.content));
    text
}

/// Every line of a text, three spaces in.
pub(crate) fn indented(text: &str) -> String {
    indented_by(3, text)
}

/// Every line of a text, so many spaces in.
pub(crate) fn indented_by(spaces: usize, text: &str) -> String {
    let line = |line: &str| format!("{:spaces$}{line}", "").trim_end().to_owned();
    printable(text).lines().map(line).collect::<Vec<_>>().join("\n")
}
