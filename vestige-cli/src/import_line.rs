use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::{Builder, Uuid};
use vestige_memory::add_tags;
use vestige_memory::json::{Loss, Members, losses};
use vestige_memory::secrets::find_in;
use vestige_traits::{MemoryRecord, MemoryStoreError, limits};

/// The keys that a line may have.
const KEYS: [&str; 8] =
    ["content", "id", "node_type", "tags", "codebase", "session", "created_at", "metadata"];

/// What holds for a line that does not say it itself.
#[derive(Clone, Debug)]
pub struct ImportDefaults {
    /// The type of a memory whose line has no `node_type`.
    pub node_type: String,
    /// Tags that every memory gets beside its own.
    pub tags: Vec<String>,
    /// The code base of a memory whose line has no `codebase`.
    pub codebase: Option<String>,
    /// What to do with keys that the format does not know.
    pub unknown_keys: UnknownKeys,
    /// Whether a line may hold what looks like a credential. Otherwise it is refused.
    pub allow_secrets: bool,
    /// `created_at` of a memory whose line has none.
    pub now: DateTime<Utc>,
}

impl ImportDefaults {
    /// The format as it is documented: nothing is added, and unknown keys and credentials are errors.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            node_type: MemoryRecord::DEFAULT_NODE_TYPE.to_owned(),
            tags: Vec::new(),
            codebase: None,
            unknown_keys: UnknownKeys::Error,
            allow_secrets: false,
            now,
        }
    }
}

/// What becomes of a key that the import format does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// The line is refused, since the key is probably misspelt.
    #[default]
    Error,
    /// It goes into `metadata`. A line whose `metadata` has the same key is refused.
    Metadata,
    /// It is passed over.
    Ignore,
}

/// A line of an import file, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportLine {
    /// The memory, without a vector. [`MemoryRecord::validate`] has passed.
    ///
    /// A line without `id` gets one that follows from everything the line
    /// says, so that the same line is the same memory whenever it is read,
    /// whatever the defaults add to it.
    pub record: MemoryRecord,
    /// Whether the line said when the memory was taken in.
    pub has_time: bool,
}

/// The line as it is written. `null` counts as absent.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Written {
    content: Option<String>,
    id: Option<String>,
    node_type: Option<String>,
    tags: Option<Vec<String>>,
    codebase: Option<String>,
    session: Option<String>,
    created_at: Option<String>,
    metadata: Option<Map<String, Value>>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl ImportLine {
    /// Reads a line; a blank one is none.
    ///
    /// # Errors
    ///
    /// What is wrong and what would be right, in one line, without the number of the line.
    pub fn parse(line: &[u8], defaults: &ImportDefaults) -> Result<Option<Self>, String> {
        let text = std::str::from_utf8(line).map_err(|error| {
            let kind = if line.contains(&0) { "holds NUL bytes or is UTF-16" } else { "is not UTF-8" };
            format!("{kind}, from byte {} on; save the file as UTF-8", error.valid_up_to() + 1)
        })?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        limits::check_json_values("the line", line).map_err(|error| rule(&error))?;
        let written: Written = serde_json::from_str(text).map_err(|error| syntax(text, &error))?;
        if written.metadata.is_some() || !written.unknown.is_empty() {
            check_losses(text, defaults.unknown_keys)?;
        }
        let (record, has_time) = written.into_record(defaults)?;
        if !defaults.allow_secrets
            && let Some(found) = find_in(&record).first()
        {
            return Err(format!("{found}; take it out, or mean it with --allow-secrets"));
        }
        Ok(Some(Self { record, has_time }))
    }

    /// Places the line in its session by its number in the file, if it does not say when the memory was taken
    /// in: a microsecond after the line before.
    #[must_use]
    pub fn numbered(mut self, number: u64) -> Self {
        if self.record.session.is_some() && !self.has_time {
            let behind = TimeDelta::microseconds(i64::try_from(number).unwrap_or(i64::MAX));
            let time = self.record.created_at.checked_add_signed(behind).unwrap_or(self.record.created_at);
            (self.record.created_at, self.record.updated_at) = (time, time);
        }
        self
    }

    /// In which fields `existing` says something else than the line. Empty if they are the same memory.
    pub fn differences(&self, existing: &MemoryRecord) -> Vec<&'static str> {
        let record = &self.record;
        let fields = [
            ("content", record.content != existing.content),
            ("node_type", record.node_type != existing.node_type),
            ("tags", record.tags != existing.tags),
            ("codebase", record.codebase != existing.codebase),
            ("session", record.session != existing.session),
            ("created_at", self.has_time && record.created_at != existing.created_at),
            ("metadata", record.metadata != existing.metadata),
        ];
        fields.into_iter().filter_map(|(field, differs)| differs.then_some(field)).collect()
    }
}

impl Written {
    fn into_record(self, defaults: &ImportDefaults) -> Result<(MemoryRecord, bool), String> {
        let mut metadata = self.metadata.unwrap_or_default();
        for (key, value) in self.unknown {
            match defaults.unknown_keys {
                UnknownKeys::Error => {
                    return Err(format!(
                        "unknown key {}; the keys are {}; put anything else into \"metadata\", \
                         or let `--unknown-keys metadata` do so",
                        quoted(&key),
                        KEYS.join(", ")
                    ));
                }
                UnknownKeys::Metadata if metadata.contains_key(&key) => {
                    let key = quoted(&key);
                    return Err(format!(
                        "key {key} stands in \"metadata\" and beside it; leave one of them out"
                    ));
                }
                UnknownKeys::Metadata => {
                    metadata.insert(key, value);
                }
                UnknownKeys::Ignore => {}
            }
        }
        let content = self.content.ok_or(
            r#"there is no "content"; a line is a JSON object like {"content": "the text to remember"}"#,
        )?;
        let created_at = self.created_at.as_deref().map(parse_time).transpose()?;
        let given_id = self.id.as_deref().map(parse_id).transpose()?;

        let mut record = MemoryRecord::new_at(content, created_at.unwrap_or(defaults.now));
        let (node_type, codebase) = (self.node_type, self.codebase);
        add_tags(&mut record.tags, &self.tags.unwrap_or_default());
        record.metadata = Value::Object(metadata);
        record.session = self.session;
        // Before the defaults, which may be others the next time.
        record.prepare().map_err(|error| rule(&error))?;
        record.id = given_id.unwrap_or_else(|| {
            let node_type = node_type.as_deref().unwrap_or(MemoryRecord::DEFAULT_NODE_TYPE);
            content_id(&record, node_type, codebase.as_deref(), created_at.is_some())
        });
        record.node_type = node_type.unwrap_or_else(|| defaults.node_type.clone());
        record.codebase = codebase.or_else(|| defaults.codebase.clone());
        add_tags(&mut record.tags, &defaults.tags);
        record.validate().map_err(|error| rule(&error))?;
        Ok((record, created_at.is_some()))
    }
}

/// Refuses what the metadata would lose: reading rounds long integers, and of a key that stands twice keeps
/// the last.
fn check_losses(text: &str, unknown_keys: UnknownKeys) -> Result<(), String> {
    let Ok(Members(members)) = serde_json::from_str(text) else { return Ok(()) };
    let mut seen = HashSet::new();
    for (key, value) in &members {
        let is_known = KEYS.contains(&key.as_str());
        if key != "metadata" && (is_known || unknown_keys != UnknownKeys::Metadata) {
            continue;
        }
        if !seen.insert(key) {
            return Err(format!("the key {} stands twice in the line", quoted(key)));
        }
        if let Some(loss) = losses(value.get()).into_iter().find(Loss::changes_the_value) {
            let place = if is_known { key.clone() } else { quoted(key) };
            return Err(format!("{place}: {loss}"));
        }
    }
    Ok(())
}

fn parse_id(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text).map_err(|_| {
        format!("id: {} is no UUID; give one, or leave \"id\" out and it follows from the line", quoted(text))
    })
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| {
        format!("created_at: {} is no RFC 3339 time, such as 2026-01-31T12:00:00Z", quoted(text))
    })
}

/// The beginning of a text, to show in a message.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A message whose middle, which quotes the line, may be as long as the line.
fn without_middle(message: &str) -> String {
    const HEAD: usize = 120;
    const TAIL: usize = 80;
    let count = message.chars().count();
    if count <= HEAD + TAIL {
        return message.to_owned();
    }
    let head = message.chars().take(HEAD);
    let tail = message.chars().skip(count - TAIL);
    head.chain(['…']).chain(tail).collect()
}

fn rule(error: &MemoryStoreError) -> String {
    match error {
        MemoryStoreError::InvalidInput { field, rule } => format!("{field}: {rule}"),
        other => other.to_string(),
    }
}

/// What serde_json says, with the column where it knows one, and without the number of the line,
/// which is always 1 to it.
fn syntax(text: &str, error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = match message.rsplit_once(" at line ") {
        Some((message, _)) if error.line() > 0 => message,
        _ => &message,
    };
    let message = without_middle(message);
    let surrogate = message.contains("surrogate") || message.contains("hex escape");
    let hint = match text.trim_start().as_bytes().first() {
        Some(b'[') => "; a line is one JSON object, so write each element on a line of its own",
        _ if surrogate => "; a surrogate (\\ud800 to \\udfff) must stand in a pair",
        Some(b'{') if error.is_eof() => {
            "; a line is one whole JSON object, so it must not be spread over several"
        }
        _ => "",
    };
    match error.column() {
        0 => format!("{message}{hint}"),
        column => format!("{message} (column {column}){hint}"),
    }
}

/// The id of a memory whose line has none: version 8 of RFC 9562, from everything that the line says.
fn content_id(record: &MemoryRecord, node_type: &str, codebase: Option<&str>, has_time: bool) -> Uuid {
    let mut hash = blake3::Hasher::new();
    hash.update(b"vestige import line 1\0");
    let time = has_time.then(|| record.created_at.timestamp_micros());
    for text in [record.content.as_str(), node_type] {
        hash_text(&mut hash, text);
    }
    hash_text(&mut hash, &record.tags.len().to_string());
    record.tags.iter().for_each(|tag| hash_text(&mut hash, tag));
    for optional in [codebase.map(str::to_owned), time.map(|micros| micros.to_string())] {
        hash.update(&[u8::from(optional.is_some())]);
        hash_text(&mut hash, &optional.unwrap_or_default());
    }
    hash_json(&mut hash, &record.metadata);
    // Last and only where there is one: a line without it keeps the id of before.
    if let Some(session) = &record.session {
        hash_text(&mut hash, session);
    }
    let mut bytes = [0; 16];
    hash.finalize_xof().fill(&mut bytes);
    Builder::from_custom_bytes(bytes).into_uuid()
}

fn hash_text(hash: &mut blake3::Hasher, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// Keys in byte order, whatever order the map keeps. The depth is bounded by `validate`.
fn hash_json(hash: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Array(items) => {
            hash_text(hash, "array");
            hash.update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| hash_json(hash, item));
        }
        Value::Object(map) => {
            hash_text(hash, "object");
            hash.update(&(map.len() as u64).to_le_bytes());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            for (key, item) in entries {
                hash_text(hash, key);
                hash_json(hash, item);
            }
        }
        Value::String(text) => {
            hash_text(hash, "string");
            hash_text(hash, text);
        }
        scalar => hash_text(hash, &scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn defaults() -> ImportDefaults {
        ImportDefaults::new(DateTime::UNIX_EPOCH)
    }

    fn parse(line: &str) -> Result<MemoryRecord, String> {
        ImportLine::parse(line.as_bytes(), &defaults())
            .map(|line| line.expect("a line that is not blank").record)
    }

    #[test]
    fn every_key_reaches_its_field() {
        let line = json!({
            "content": "text", "id": "019bb17c-0e40-7978-a6a1-2a42c7957ab5", "node_type": "fact",
            "tags": ["a", "b"], "codebase": "tidewater", "session": "monday",
            "created_at": "2026-01-12T10:14:16.5+01:00", "metadata": {"file": "x.rs"},
        });
        let record = parse(&line.to_string()).unwrap();
        assert_eq!(record.content, "text");
        assert_eq!(record.id.to_string(), "019bb17c-0e40-7978-a6a1-2a42c7957ab5");
        assert_eq!(record.node_type, "fact");
        assert_eq!(record.tags, ["a", "b"]);
        assert_eq!(
            (record.codebase.as_deref(), record.session.as_deref()),
            (Some("tidewater"), Some("monday"))
        );
        assert_eq!(record.created_at.to_rfc3339(), "2026-01-12T09:14:16.500+00:00");
        assert_eq!(record.metadata, json!({"file": "x.rs"}));
    }

    #[test]
    fn a_tag_that_is_said_twice_counts_once() {
        let twice = parse(r#"{"content": "text", "tags": ["x", "y", "x"]}"#).unwrap();
        let once = parse(r#"{"content": "text", "tags": ["x", "y"]}"#).unwrap();
        assert_eq!((twice.tags, twice.id), (once.tags, once.id));
    }

    #[test]
    fn null_counts_as_absent_and_blank_lines_are_none() {
        let record =
            parse(r#"{"content": "text", "tags": null, "metadata": null, "node_type": null}"#).unwrap();
        assert_eq!((record.node_type.as_str(), record.tags.len()), ("general", 0));
        for blank in ["", " ", "\t\r"] {
            assert_eq!(ImportLine::parse(blank.as_bytes(), &defaults()), Ok(None));
        }
    }

    #[test]
    fn a_line_without_id_gets_the_same_id_every_time_and_another_line_another() {
        let first = parse(r#"{"content": "text", "metadata": {"a": 1, "b": 2}}"#).unwrap();
        assert_eq!(first.id.get_version_num(), 8);
        let later = ImportDefaults::new(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1));
        let again = ImportLine::parse(br#"{ "metadata": {"b": 2, "a": 1}, "content": "text" }"#, &later);
        assert_eq!(again.unwrap().unwrap().record.id, first.id);
        for other in [
            r#"{"content": "text"}"#,
            r#"{"content": "text", "metadata": {"a": 1, "b": "2"}}"#,
            r#"{"content": "text", "metadata": {"a": 1, "b": 2}, "tags": ["x"]}"#,
            r#"{"content": "text", "metadata": {"a": 1, "b": 2}, "codebase": "x"}"#,
            r#"{"content": "text", "metadata": {"a": 1, "b": 2}, "session": "x"}"#,
            r#"{"content": "text", "metadata": {"a": 1, "b": 2}, "created_at": "1970-01-01T00:00:00Z"}"#,
        ] {
            assert_ne!(parse(other).unwrap().id, first.id, "{other}");
        }
    }

    #[test]
    fn a_bad_line_is_refused_with_its_reason_in_one_line() {
        let long = format!(r#"{{"content": "{}"}}"#, "x".repeat((1 << 20) + 1));
        let deep =
            format!(r#"{{"content": "x", "metadata": {{"a": {}1{}}}}}"#, "[".repeat(70), "]".repeat(70));
        let deeper = format!(r#"{{"content": {}"#, "[".repeat(100_000));
        for (line, expected) in [
            (r#"{"node_type": "x"}"#, r#"there is no "content""#),
            (r#"{"contnet": "x"}"#, r#"unknown key "contnet""#),
            (r#"{"content": "x", "tag": "a"}"#, r#"unknown key "tag""#),
            (r#"{"content": "  "}"#, "content: must not be empty"),
            (r#"{"content": "a\u0000b"}"#, "content: holds U+0000"),
            (r#"{"content": "x", "metadata": {"a": "\u0000"}}"#, "metadata: holds U+0000"),
            (r#"{"content": "\ud800"}"#, "column"),
            (r#"{"content": "\udc00 low"}"#, "column"),
            (r#"{"content": 5}"#, "expected a string"),
            (r#"{"content": "x""#, "whole JSON object"),
            (r#"{"content": "x"} {"content": "y"}"#, "trailing characters"),
            (r#"[{"content": "x"}]"#, "each element on a line of its own"),
            (r#""text""#, "expected"),
            ("text", "expected"),
            (r#"{"content": "x", "content": "y"}"#, "duplicate field"),
            (r#"{"content": "x", "id": "conv-26/1"}"#, "is no UUID"),
            (r#"{"content": "x", "created_at": "yesterday"}"#, "RFC 3339"),
            (r#"{"content": "x", "created_at": 5}"#, "expected a string"),
            (r#"{"content": "x", "tags": "a"}"#, "expected a sequence"),
            (r#"{"content": "x", "tags": [""]}"#, "tags: must not be empty"),
            (r#"{"content": "x", "metadata": []}"#, "expected a map"),
            (
                r#"{"content": "x", "metadata": {"a": [18446744073709551616]}}"#,
                "metadata: the integer 18446744073709551616 does not fit into 64 bits",
            ),
            (
                r#"{"content": "x", "metadata": {"a": {"k": 1, "k": 2}}}"#,
                r#"metadata: the key "k" stands twice in one object"#,
            ),
            (r#"{"content": "x", "metadata": {"n": 1e999}}"#, "number out of range"),
            (&long, "content: is 1048577 bytes long"),
            (&deep, "metadata: nests deeper"),
            (&deeper, "expected a string"),
            (&format!(r#"{{"content": "x", "metadata": {{"a": {}"#, "[".repeat(100_000)), "recursion limit"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
            assert!(!error.contains('\n') && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn a_complaint_is_short_however_long_the_line_is() {
        let long = "at line 3 x".repeat(10_000);
        for line in [
            format!(r#"{{"content": "x", "{long}": 1}}"#),
            format!(r#"{{"content": "x", "metadata": "{long}"}}"#),
            format!(r#"{{"content": "x", "id": "{long}"}}"#),
            format!(r#"{{"content": "x", "created_at": "{long}"}}"#),
            format!(r#"{{"content": "x", "tags": ["{long}"]}}"#),
            format!("\"{long}\""),
        ] {
            let error = parse(&line).expect_err("a bad line");
            assert!(error.len() < 400, "{error}");
        }
        let error = parse(&format!(r#"{{"content": "x", "metadata": "{long}"}}"#)).expect_err("a bad line");
        assert!(error.contains("expected a map"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused_with_their_place() {
        let error = ImportLine::parse(b"{\"content\": \"caf\xe9\"}", &defaults()).unwrap_err();
        assert_eq!(error, "is not UTF-8, from byte 17 on; save the file as UTF-8");
        let error = ImportLine::parse(b"\xff\xfe{\0\"\0", &defaults()).unwrap_err();
        assert!(error.contains("UTF-16"), "{error}");
    }

    #[test]
    fn unknown_keys_can_be_kept_or_passed_over() {
        let line = r#"{"content": "x", "speaker": "Ada", "n": 1, "metadata": {"m": 2}}"#;
        let metadata = |line: &str, unknown_keys| {
            let defaults = ImportDefaults { unknown_keys, ..defaults() };
            ImportLine::parse(line.as_bytes(), &defaults).map(|line| line.unwrap().record.metadata)
        };
        assert_eq!(metadata(line, UnknownKeys::Metadata), Ok(json!({"speaker": "Ada", "n": 1, "m": 2})));
        assert_eq!(metadata(line, UnknownKeys::Ignore), Ok(json!({"m": 2})));
        for (unknown, expected) in [
            (r#""n": 18446744073709551616"#, r#""n": the integer 18446744073709551616 does not fit"#),
            (r#""n": 1, "n": 2"#, r#"the key "n" stands twice in the line"#),
        ] {
            let line = line.replace(r#""n": 1"#, unknown);
            let refused = metadata(&line, UnknownKeys::Metadata).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}");
            assert_eq!(metadata(&line, UnknownKeys::Ignore), Ok(json!({"m": 2})));
        }
        let twice = line.replace("\"m\"", "\"n\"");
        assert_eq!(metadata(&twice, UnknownKeys::Ignore), Ok(json!({"n": 2})));
        let refused = metadata(&twice, UnknownKeys::Metadata).unwrap_err();
        assert_eq!(refused, r#"key "n" stands in "metadata" and beside it; leave one of them out"#);
    }

    #[test]
    fn defaults_fill_what_the_line_leaves_out() {
        let defaults = ImportDefaults {
            node_type: "note".into(),
            tags: vec!["imported".into(), "a".into()],
            codebase: Some("tidewater".into()),
            ..defaults()
        };
        let parse = |line: &str| ImportLine::parse(line.as_bytes(), &defaults).unwrap().unwrap().record;
        let record = parse(r#"{"content": "x", "tags": ["a"]}"#);
        assert_eq!(record.node_type, "note");
        assert_eq!(record.tags, ["a", "imported"]);
        assert_eq!(record.codebase.as_deref(), Some("tidewater"));
        let record = parse(r#"{"content": "x", "node_type": "fact", "codebase": "kestrel"}"#);
        assert_eq!((record.node_type.as_str(), record.codebase.as_deref()), ("fact", Some("kestrel")));
    }

    #[test]
    fn the_id_of_a_line_does_not_depend_on_the_defaults() {
        let others = ImportDefaults {
            node_type: "note".into(),
            tags: vec!["imported".into()],
            codebase: Some("tidewater".into()),
            ..defaults()
        };
        for line in [r#"{"content": "x"}"#, r#"{"content": "x", "tags": ["a"], "node_type": "fact"}"#] {
            let other = ImportLine::parse(line.as_bytes(), &others).unwrap().unwrap().record;
            assert_eq!(other.id, parse(line).unwrap().id, "{line}");
        }
    }

    #[test]
    fn a_line_differs_from_a_memory_only_in_what_it_says() {
        let line = ImportLine::parse(br#"{"content": "x"}"#, &defaults()).unwrap().unwrap();
        let mut existing = line.record.clone().created_at(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1));
        assert!(line.differences(&existing).is_empty());
        existing.content.push('y');
        existing.tags.push("t".into());
        assert_eq!(line.differences(&existing), ["content", "tags"]);
    }
}
