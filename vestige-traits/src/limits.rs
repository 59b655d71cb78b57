//! The sizes a store accepts, and the checks that hold for every backend.
//!
//! A backend calls these before it touches its database, so that the same input is refused with the same
//! words wherever it is stored. Each `check_…` function fails with [`MemoryStoreError::InvalidInput`], which
//! names the `field` that it was given and the rule.

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde_json::Value;
#[cfg(feature = "analysis")]
pub use vestige_analysis::limits::{
    MAX_ANALYZED_TERMS, MAX_INDEXED_CHARS, MAX_PHRASE_BYTES, MAX_QUERY_TERMS,
};

use crate::error::{MemoryStoreError, MemoryStoreResult};
use crate::model::ModelSignature;

/// The longest `content` of a memory, in bytes of UTF-8.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;
/// The longest name: types, tags, domains, codebases, sessions, edge types, handles, labels, in bytes of
/// UTF-8.
pub const MAX_NAME_BYTES: usize = 1024;
/// The most tags, domains, groups or top terms one row may carry.
pub const MAX_LIST_ITEMS: usize = 1000;
/// The largest `metadata`, in bytes of its JSON text.
pub const MAX_METADATA_BYTES: usize = 1 << 20;
/// How deep `metadata` may nest.
pub const MAX_METADATA_DEPTH: usize = 64;
/// The longest vector. pgvector's HNSW index ends here too.
pub const MAX_DIMENSION: usize = 2000;
/// The range of a vector's L2 norm. Outside it a cosine similarity in single precision is meaningless.
pub const NORM_RANGE: std::ops::RangeInclusive<f64> = 1e-6..=1e6;
/// What a `limit` of 0 means.
pub const DEFAULT_LIMIT: usize = 10;
/// The largest `limit` of a search or a page.
pub const MAX_LIMIT: usize = 1000;
/// The most memories before a memory in its session that `get_context` returns, and the most after it.
pub const MAX_CONTEXT: usize = 20;
/// The most spans of time that a search may favour.
pub const MAX_TIMES: usize = 8;
/// The most memories in one `insert_batch`, and rows in one page of a transfer.
pub const MAX_BATCH: usize = 10_000;
/// The longest query text, in bytes of UTF-8.
pub const MAX_QUERY_BYTES: usize = 1 << 20;
/// The deepest walk of `get_neighbors`, in edges.
pub const MAX_NEIGHBOR_DEPTH: usize = 16;
/// The most memories that `get_neighbors` returns.
pub const MAX_NEIGHBORS: usize = 256;

/// The most values that a JSON text may hold from which memories are read, keys of objects included. The
/// largest metadata, `[[],[],…]`, holds 700,000. Each costs some two hundred bytes once it is read, so this
/// bounds what a text costs however it is written.
pub const MAX_JSON_VALUES: usize = 720_000;

/// The limit to use for the `limit` a caller gave: 0 means [`DEFAULT_LIMIT`].
///
/// # Errors
///
/// [`MemoryStoreError::InvalidInput`] naming `limit` above [`MAX_LIMIT`].
pub fn effective_limit(limit: usize) -> MemoryStoreResult<usize> {
    match limit {
        0 => Ok(DEFAULT_LIMIT),
        1..=MAX_LIMIT => Ok(limit),
        _ => Err(MemoryStoreError::invalid("limit", format!("is {limit}, must be at most {MAX_LIMIT}"))),
    }
}

/// Refuses what does not `hold`, by the `rule` that it breaks.
pub(crate) fn check<R>(field: &str, holds: bool, rule: impl FnOnce() -> R) -> MemoryStoreResult<()>
where
    R: Into<String>,
{
    if holds { Ok(()) } else { Err(MemoryStoreError::invalid(field, rule())) }
}

/// Refuses a page size of 0 or above [`MAX_BATCH`].
pub fn check_page(field: &str, size: usize) -> MemoryStoreResult<()> {
    check(field, (1..=MAX_BATCH).contains(&size), || format!("is {size}, must be 1 to {MAX_BATCH}"))
}

/// Refuses a text that is too long or holds U+0000, which PostgreSQL cannot store.
pub fn check_text(field: &str, text: &str, max_bytes: usize) -> MemoryStoreResult<()> {
    let length = text.len();
    check(field, length <= max_bytes, || format!("is {length} bytes long, must be at most {max_bytes}"))?;
    check_no_nul(field, text)
}

/// Refuses a name that is blank, too long, or holds U+0000.
pub fn check_name(field: &str, name: &str) -> MemoryStoreResult<()> {
    check(field, !name.trim().is_empty(), || "must not be empty")?;
    check_text(field, name, MAX_NAME_BYTES)
}

/// Checks a list of names: its length and each name.
pub fn check_names(field: &str, names: &[String]) -> MemoryStoreResult<()> {
    check_len(field, names.len(), MAX_LIST_ITEMS)?;
    names.iter().try_for_each(|name| check_name(field, name))
}

/// Refuses more than `max` items.
pub fn check_len(field: &str, len: usize, max: usize) -> MemoryStoreResult<()> {
    check(field, len <= max, || format!("has {len} items, must have at most {max}"))
}

/// Checks a metadata value: a JSON object within the limits of size and depth, without U+0000.
pub fn check_metadata(field: &str, metadata: &Value) -> MemoryStoreResult<()> {
    check(field, metadata.is_object(), || "must be a JSON object")?;
    check_json(field, metadata, MAX_METADATA_DEPTH)?;
    let mut size = ByteCount(0);
    // Counting cannot fail: the writer never does, and every key is a string.
    let _ = serde_json::to_writer(&mut size, metadata);
    let ByteCount(size) = size;
    let rule = || format!("is {size} bytes of JSON, must be at most {MAX_METADATA_BYTES}");
    check(field, size <= MAX_METADATA_BYTES, rule)
}

/// Refuses a JSON text of more than [`MAX_JSON_VALUES`] values and keys, before it is parsed.
///
/// Looks at strings and punctuation alone, so it says nothing of whether the text is JSON.
pub fn check_json_values(field: &str, text: &[u8]) -> MemoryStoreResult<()> {
    let (mut in_string, mut escaped, mut values) = (false, false, 1_usize);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    let rule = || format!("holds more than {MAX_JSON_VALUES} values: split it, or write long lists as text");
    check(field, values <= MAX_JSON_VALUES, rule)
}

/// Checks a vector by itself: finite, of a norm within [`NORM_RANGE`], no longer than [`MAX_DIMENSION`].
pub fn check_embedding(field: &str, embedding: &[f32]) -> MemoryStoreResult<()> {
    let dimension = embedding.len();
    let rule = || format!("has {dimension} dimensions, must have 1 to {MAX_DIMENSION}");
    check(field, (1..=MAX_DIMENSION).contains(&dimension), rule)?;
    if let Some(at) = embedding.iter().position(|x| !x.is_finite()) {
        return Err(MemoryStoreError::invalid(field, format!("component {at} is not finite")));
    }
    let norm = embedding.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    check(field, norm != 0.0, || "is all zero, so it points nowhere")?;
    let (least, most) = NORM_RANGE.into_inner();
    let rule = || format!("has length {norm:e}, must be {least:e} to {most:e}");
    check(field, (least..=most).contains(&norm), rule)
}

/// Refuses a number that is not finite or lies outside `range`.
pub fn check_number(field: &str, value: f64, range: std::ops::RangeInclusive<f64>) -> MemoryStoreResult<()> {
    check(field, range.contains(&value), || {
        format!("is {value}, must be {} to {}", range.start(), range.end())
    })
}

/// Refuses a time outside the years 1 to 9999, which is what RFC 3339 can write.
pub fn check_time(field: &str, time: DateTime<Utc>) -> MemoryStoreResult<()> {
    check(field, (1..=9999).contains(&time.year()), || "must lie within the years 1 to 9999")
}

/// Cuts a time to whole microseconds, the precision of every backend.
pub fn to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    // A leap second's nanoseconds exceed one second; it is folded into the second's end.
    let micros = (time.nanosecond() / 1000).min(999_999);
    time.with_nanosecond(micros * 1000).unwrap_or(time)
}

/// Rewrites the numbers of a JSON value that PostgreSQL's `jsonb` would give back in another form,
/// and says whether there were any.
///
/// `jsonb` keeps numbers as decimals: a negative zero loses its sign, and a whole number written with an
/// exponent comes back as an integer. After this the value survives either backend unchanged.
pub fn normalize_json(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| normalize_json(item) | changed),
        Value::Object(map) => map.values_mut().fold(false, |changed, item| normalize_json(item) | changed),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()).and_then(as_jsonb) {
            Some(number) => {
                *value = number;
                true
            }
            None => false,
        },
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Whether [`normalize_json`] would change nothing.
pub fn is_normal_json(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_normal_json),
        Value::Object(map) => map.values().all(is_normal_json),
        Value::Number(number) => number.as_f64().filter(|_| number.is_f64()).and_then(as_jsonb).is_none(),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// What `jsonb` makes of a float, where that is something else.
fn as_jsonb(float: f64) -> Option<Value> {
    const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
    if float == 0.0 {
        return float.is_sign_negative().then(|| Value::from(0.0));
    }
    // Below 1e16 a whole float is written with ".0" and keeps its kind; beyond
    // the integers of 64 bits it is read back as a float.
    if float.fract() != 0.0 || float.abs() < 1e16 {
        None
    } else if (0.0..2.0 * TWO_POW_63).contains(&float) {
        Some(Value::from(float as u64))
    } else if (-TWO_POW_63..0.0).contains(&float) {
        Some(Value::from(float as i64))
    } else {
        None
    }
}

fn check_json(field: &str, value: &Value, depth: usize) -> MemoryStoreResult<()> {
    check(field, depth > 0, || format!("nests deeper than {MAX_METADATA_DEPTH} levels"))?;
    match value {
        Value::String(text) => check_no_nul(field, text),
        Value::Array(items) => items.iter().try_for_each(|item| check_json(field, item, depth - 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            check_no_nul(field, key)?;
            check_json(field, item, depth - 1)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_no_nul(field: &str, text: &str) -> MemoryStoreResult<()> {
    match text.find('\0') {
        Some(at) => Err(MemoryStoreError::invalid(field, format!("holds U+0000 at byte {at}"))),
        None => Ok(()),
    }
}

struct ByteCount(usize);

impl std::io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ModelSignature {
    /// Checks the rules on each field.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError::InvalidInput`] naming `model.name`, `model.dimension` or `model.hash`.
    pub fn validate(&self) -> MemoryStoreResult<()> {
        let Self { name, dimension, hash } = self;
        check_name("model.name", name)?;
        let rule = || format!("is {dimension}, must be 1 to {MAX_DIMENSION}");
        check("model.dimension", (1..=MAX_DIMENSION).contains(dimension), rule)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        check("model.hash", is_hash, || "must be 64 lowercase hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(check_json_values("text", zeros(MAX_JSON_VALUES - 1).as_bytes()).is_ok());
        assert!(check_json_values("text", zeros(MAX_JSON_VALUES).as_bytes()).is_err());
        assert!(check_json_values("text", "[".repeat(MAX_JSON_VALUES).as_bytes()).is_err());
        let objects = format!("[{}{{}}]", "{\"a\":1},".repeat(MAX_JSON_VALUES / 2));
        assert!(check_json_values("text", objects.as_bytes()).is_err());
        let text = format!(
            r#"{{"a": "{}", "b\\": "{}\""}}"#,
            "[{:,".repeat(MAX_JSON_VALUES),
            r#"\","#.repeat(MAX_JSON_VALUES)
        );
        assert!(check_json_values("text", text.as_bytes()).is_ok());
    }
}
