//! Credentials in the fields of a memory.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde_json::Value;
use vestige_traits::MemoryRecord;

use super::span::Span;
use super::{Secret, located, spans, telling};
use crate::text::shortened;

/// What looks like a credential in a field of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretIn {
    /// The field: `content`, `tags[0]`, `node_type`, `codebase`, `session`, or a path into the metadata such
    /// as `metadata.servers[2].password`. A key of the metadata that is itself a finding is not named.
    pub field: String,
    /// What was found, with its place in the text of that field.
    pub secret: Secret,
}

impl fmt::Display for SecretIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.secret)
    }
}

/// The credentials in a memory, field by field, in the order of [`SecretIn::field`].
///
/// In metadata the key counts as a telling word of its value: `{"password": "…"}`.
pub fn find_in(record: &MemoryRecord) -> Vec<SecretIn> {
    let mut found = Vec::new();
    each_secret(record, &mut |field, _, secret| {
        found.push(SecretIn { field, secret });
        true
    });
    found
}

/// The first credential of a memory.
pub(crate) fn first_in(record: &MemoryRecord) -> Option<SecretIn> {
    let mut first = None;
    each_secret(record, &mut |field, _, secret| {
        first = Some(SecretIn { field, secret });
        false
    });
    first
}

/// The first credential of a memory that it did not have before.
pub(crate) fn added(before: &MemoryRecord, after: &MemoryRecord) -> Option<SecretIn> {
    first_in(after)?;
    let mut known = HashSet::new();
    each_secret(before, &mut |_, text, _| {
        known.insert(text.to_owned());
        true
    });
    let mut added = None;
    each_secret(after, &mut |field, text, secret| {
        let is_known = known.contains(text);
        if !is_known {
            added = Some(SecretIn { field, secret });
        }
        is_known
    });
    added
}

/// Is told the field, the credential and its place, and says whether to go on.
type Visitor<'v> = &'v mut dyn FnMut(String, &str, Secret) -> bool;

fn each_secret(record: &MemoryRecord, visit: Visitor<'_>) {
    let _ = visit_record(record, visit);
}

/// None where the visitor ends it.
fn visit_record(record: &MemoryRecord, visit: Visitor<'_>) -> Option<()> {
    visit_text(&record.content, &|| "content".to_owned(), visit)?;
    for (at, tag) in record.tags.iter().enumerate() {
        visit_text(tag, &|| format!("tags[{at}]"), visit)?;
    }
    visit_text(&record.node_type, &|| "node_type".to_owned(), visit)?;
    for (name, text) in [("codebase", &record.codebase), ("session", &record.session)] {
        if let Some(text) = text {
            visit_text(text, &|| name.to_owned(), visit)?;
        }
    }
    visit_value(&record.metadata, &mut vec![Step::Key("metadata")], visit)
}

fn visit_text(text: &str, field: &dyn Fn() -> String, visit: Visitor<'_>) -> Option<()> {
    let spans = spans(text);
    if spans.is_empty() {
        return Some(());
    }
    for (span, secret) in spans.iter().zip(located(text, &spans)) {
        visit(field(), &text[span.start..span.end], secret).then_some(())?;
    }
    Some(())
}

#[derive(Clone, Copy)]
enum Step<'r> {
    Key(&'r str),
    At(usize),
}

fn visit_value<'r>(value: &'r Value, path: &mut Vec<Step<'r>>, visit: Visitor<'_>) -> Option<()> {
    match value {
        Value::String(text) => {
            let key = path.iter().rev().find_map(|step| match step {
                Step::Key(key) => Some(*key),
                Step::At(_) => None,
            });
            let has_own = !spans(text).is_empty();
            if !has_own && let Some(kind) = key.and_then(|key| telling::kind_of_pair(key, text)) {
                let secret = Secret { kind, start: 0, end: text.chars().count() };
                return visit(named(path), text, secret).then_some(());
            }
            visit_text(text, &|| named(path), visit)
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                path.push(Step::At(at));
                visit_value(value, path, visit)?;
                path.pop();
            }
            Some(())
        }
        Value::Object(members) => {
            for (key, value) in members {
                visit_text(key, &|| format!("{} (a key)", named(path)), visit)?;
                path.push(Step::Key(key));
                visit_value(value, path, visit)?;
                path.pop();
            }
            Some(())
        }
        _ => Some(()),
    }
}

fn named(path: &[Step<'_>]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(_) | Step::At(_) if name.len() > 300 => break,
            Step::Key(key) => {
                let is_secret = spans(key).iter().any(|Span { start, end, .. }| end > start);
                let key = if is_secret { "…".to_owned() } else { shortened(key, 60) };
                let dot = if name.is_empty() { "" } else { "." };
                let _ = write!(name, "{dot}{key}");
            }
            Step::At(at) => {
                let _ = write!(name, "[{at}]");
            }
        }
    }
    name
}
