use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{Domain, MemoryRecord, Visibility, limits};

use super::write::write_row;

/// The row that a canonical line says, or why the line is none.
///
/// A line with an unknown, missing, repeated or misplaced key, or with any value in another
/// spelling, is refused: only a line that this crate would write for the row is read, so that
/// nothing in it can be passed over.
pub(crate) fn parse_row(line: &[u8], scratch: &mut Vec<u8>) -> Result<TransferRow, String> {
    let kind = kind_of(line)?;
    limits::check_json_values("the line", line).map_err(|error| error.to_string())?;
    let row = match kind {
        TransferKind::User => TransferRow::User(parse(line)?),
        TransferKind::Group => TransferRow::Group(parse(line)?),
        TransferKind::GroupMembership => TransferRow::GroupMembership(parse(line)?),
        TransferKind::Domain => TransferRow::Domain(parse::<DomainLine>(line)?.into()),
        TransferKind::Memory => TransferRow::Memory(parse::<MemoryLine>(line)?.into()),
        TransferKind::Scheduling => TransferRow::Scheduling(parse(line)?),
        TransferKind::Edge => TransferRow::Edge(parse(line)?),
        TransferKind::ReviewEvent => TransferRow::ReviewEvent(parse(line)?),
    };
    scratch.clear();
    scratch.reserve(line.len());
    write_row(scratch, &row);
    match first_difference(line, scratch) {
        None => Ok(row),
        Some(at) => Err(format!("is not in canonical form from byte {} of the line on", at + 1)),
    }
}

/// The kind that a canonical line begins with.
fn kind_of(line: &[u8]) -> Result<TransferKind, String> {
    let word = line
        .strip_prefix(br#"{"kind":""#)
        .and_then(|rest| rest.iter().position(|&byte| byte == b'"').map(|end| &rest[..end]))
        .ok_or_else(|| r#"does not begin with {"kind":"#.to_owned())?;
    TransferKind::ALL
        .into_iter()
        .find(|kind| kind.as_str().as_bytes() == word)
        .ok_or_else(|| format!("has the unknown kind {:?}", String::from_utf8_lossy(word)))
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        // The parser sees one line and calls it line 1; the caller knows which one it is.
        error.to_string().replace(" at line 1 column ", " at byte ")
    })
}

fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    Some(a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len())))
}

#[derive(Deserialize)]
struct MemoryLine {
    id: Uuid,
    content: String,
    node_type: String,
    tags: Vec<String>,
    metadata: Value,
    domains: Vec<String>,
    domain_scores: BTreeMap<String, f64>,
    #[serde(deserialize_with = "vector")]
    embedding: Option<Vec<f32>>,
    codebase: Option<String>,
    owner_user_id: Uuid,
    visibility: Visibility,
    shared_with_groups: Vec<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    session: Option<String>,
}

impl From<MemoryLine> for MemoryRecord {
    fn from(line: MemoryLine) -> Self {
        let mut record = Self::from_parts(line.id, line.content, line.node_type, line.created_at);
        record.tags = line.tags;
        record.metadata = line.metadata;
        record.domains = line.domains;
        record.domain_scores = line.domain_scores;
        record.embedding = line.embedding;
        record.codebase = line.codebase;
        record.owner_user_id = line.owner_user_id;
        record.visibility = line.visibility;
        record.shared_with_groups = line.shared_with_groups;
        record.updated_at = line.updated_at;
        record.session = line.session;
        record
    }
}

#[derive(Deserialize)]
struct DomainLine {
    id: String,
    label: String,
    #[serde(deserialize_with = "vector")]
    centroid: Option<Vec<f32>>,
    top_terms: Vec<String>,
    memory_count: u64,
    created_at: DateTime<Utc>,
    metadata: Value,
}

impl From<DomainLine> for Domain {
    fn from(line: DomainLine) -> Self {
        Self {
            id: line.id,
            label: line.label,
            centroid: line.centroid,
            top_terms: line.top_terms,
            memory_count: line.memory_count,
            created_at: line.created_at,
            metadata: line.metadata,
        }
    }
}

fn vector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f32>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let bytes = STANDARD.decode(&text).map_err(|error| D::Error::custom(format!("base64: {error}")))?;
    let (components, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(D::Error::custom(format!("a vector of {} bytes, not a multiple of 4", bytes.len())));
    }
    Ok(Some(components.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use vestige_traits::MemoryEdge;
    use vestige_traits::identity::{GroupMembership, GroupRole, User};
    use vestige_traits::scheduling::{Rating, ReviewEvent, SchedulingState};
    use vestige_traits::transfer::ScheduledMemory;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn state() -> SchedulingState {
        SchedulingState {
            stability: 3.25,
            difficulty: 5.0,
            retrievability: 0.9,
            last_review: Some(at("2026-01-02T03:04:05.000006Z")),
            next_review: None,
            reps: 3,
            lapses: 1,
        }
    }

    fn one_of_each() -> Vec<TransferRow> {
        let mut record =
            MemoryRecord::new_at("tab\there \"quoted\" \u{1}\u{7f} 😀", at("2026-01-02T03:04:05Z"));
        record.metadata = json!({"z": 1, "a": [0.1, null, {"k": "v", "b": -7}]});
        record.tags = vec!["b".into(), "a".into()];
        record.domain_scores = [("work".to_owned(), 0.75)].into();
        record.embedding = Some(vec![0.6, -0.8, 0.0]);
        let mut domain = Domain::new("work", "Work", at("2026-01-01T00:00:00Z"));
        domain.centroid = Some(vec![1.0]);
        let id = record.id;
        vec![
            TransferRow::User(User::local()),
            TransferRow::GroupMembership(GroupMembership {
                user_id: id,
                group_id: id,
                role: GroupRole::Admin,
                joined_at: at("2026-01-02T03:04:05.123456Z"),
            }),
            TransferRow::Domain(domain),
            TransferRow::Memory(record),
            TransferRow::Scheduling(ScheduledMemory { memory_id: id, state: state() }),
            TransferRow::Edge(MemoryEdge::new(id, Uuid::nil(), at("2026-01-02T03:04:05Z"))),
            TransferRow::ReviewEvent(ReviewEvent {
                id,
                memory_id: id,
                timestamp: at("2026-01-02T03:04:05Z"),
                rating: Rating::Good,
                prior_state: Some(state()),
                new_state: state(),
            }),
        ]
    }

    fn line_of(row: &TransferRow) -> Vec<u8> {
        let mut line = Vec::new();
        write_row(&mut line, row);
        line
    }

    #[test]
    fn every_kind_of_row_comes_back_from_its_line() {
        for row in one_of_each() {
            let line = line_of(&row);
            assert_eq!(parse_row(&line, &mut Vec::new()), Ok(row), "{}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn a_line_in_another_spelling_is_refused() {
        let line = String::from_utf8(line_of(&one_of_each()[0])).unwrap();
        assert!(parse_row(line.as_bytes(), &mut Vec::new()).is_ok());
        for altered in [
            line.replace(":\"local\"", ": \"local\""),
            line.replace("{\"kind\":\"user\",", "{\"kind\":\"user\",\"extra\":1,"),
            line.replace(".000000Z", "Z"),
            line.replace("local", "\\u006cocal"),
            line.replace("}", ",}"),
            line.replace("\"metadata\":{}", "\"metadata\":{\"b\":1,\"a\":2}"),
            line.replace("\"metadata\":{}", "\"metadata\":{\"a\":1e2}"),
            line.replace("user", "users"),
            format!(" {line}"),
            format!("{line} "),
            String::new(),
        ] {
            assert_ne!(altered, line);
            assert!(parse_row(altered.as_bytes(), &mut Vec::new()).is_err(), "{altered}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused_and_never_panics(bytes: Vec<u8>) {
            let _ = parse_row(&bytes, &mut Vec::new());
        }

        #[test]
        fn a_changed_byte_never_reads_as_the_same_row(
            at: prop::sample::Index,
            byte: u8,
            which: prop::sample::Index,
        ) {
            let rows = one_of_each();
            let row = which.get(&rows);
            let mut line = line_of(row);
            let at = at.index(line.len());
            prop_assume!(line[at] != byte);
            line[at] = byte;
            if let Ok(read) = parse_row(&line, &mut Vec::new()) {
                prop_assert_ne!(&read, row);
            }
        }
    }
}
