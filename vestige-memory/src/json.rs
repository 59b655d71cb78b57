//! What reading a JSON text as a value would lose: repeated keys, and digits of numbers.
//!
//! Metadata is stored as JSON values. Whoever takes in JSON written by others compares it here first, so that
//! nothing is changed without a word.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use vestige_traits::limits::normalize_json;

/// Something that reading a JSON text as a value would drop or round.
///
/// `Display` says what is wrong and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// An integer beyond 64 bits, as it is written.
    Integer(String),
    /// Another number, as it is written; once it is stored it is written in another way.
    Digits(String),
    /// A key that occurs twice in one object.
    RepeatedKey(String),
}

/// The members of a JSON object in their order, repeated keys included.
///
/// Deserializes from an object; each value is the text that was written.
#[derive(Clone, Debug)]
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl Loss {
    /// Whether the value that is read differs from the one that is written by more than the rounding of
    /// decimals to 64 bits that every reader of JSON does.
    pub fn changes_the_value(&self) -> bool {
        !matches!(self, Self::Digits(_))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(text) => {
                write!(f, "the integer {} does not fit into 64 bits; write it as a string", beginning(text))
            }
            Self::Digits(text) => {
                write!(
                    f,
                    "the number {} would not be stored as it is written; write it as a string",
                    beginning(text)
                )
            }
            Self::RepeatedKey(key) => write!(f, "the key {:?} stands twice in one object", beginning(key)),
        }
    }
}

/// Enough to find it by. It may be as long as the text.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(end, _)| &text[..end])
}

/// Everything that reading `text` as a value would lose, in the order of the text.
///
/// `text` must be valid JSON, which bounds its depth; of another text nothing is found, or only what precedes
/// its error.
///
/// ```
/// use vestige_memory::json::{Loss, losses};
///
/// assert_eq!(losses(r#"{"n": 1, "n": 2}"#), [Loss::RepeatedKey("n".to_owned())]);
/// ```
pub fn losses(text: &str) -> Vec<Loss> {
    let mut found = Vec::new();
    collect(text.trim(), &mut found);
    found
}

fn collect(text: &str, found: &mut Vec<Loss>) {
    match text.as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(text) else { return };
            let mut seen = HashSet::new();
            for (key, value) in members {
                collect(value.get(), found);
                if seen.contains(&key) {
                    found.push(Loss::RepeatedKey(key));
                } else {
                    seen.insert(key);
                }
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            items.into_iter().for_each(|item| collect(item.get(), found));
        }
        Some(b'-' | b'0'..=b'9') => found.extend(of_number(text)),
        _ => {}
    }
}

fn of_number(text: &str) -> Option<Loss> {
    let mut number: Value = serde_json::from_str(text).ok()?;
    normalize_json(&mut number);
    let written = number.to_string();
    if written == text {
        None
    } else if text.contains(['.', 'e', 'E']) || text == "-0" {
        Some(Loss::Digits(text.to_owned()))
    } else {
        Some(Loss::Integer(text.to_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reading_would_change_is_named() {
        let integer = |text: &str| Loss::Integer(text.to_owned());
        let digits = |text: &str| Loss::Digits(text.to_owned());
        let key = |text: &str| Loss::RepeatedKey(text.to_owned());
        for (text, expected) in [
            (r#"{"a": [1, -2.5, 0.1, "3.10", true, null, {"b": 18446744073709551615}]}"#, vec![]),
            ("-9223372036854775808", vec![]),
            ("18446744073709551616", vec![integer("18446744073709551616")]),
            ("[-9223372036854775809, [3.10]]", vec![integer("-9223372036854775809"), digits("3.10")]),
            ("0.1234567890123456789", vec![digits("0.1234567890123456789")]),
            ("[1e16, -0.0, -0]", vec![digits("1e16"), digits("-0.0"), digits("-0")]),
            (r#"{"a": {"x": 1, "\u0078": 2}, "a": 3}"#, vec![key("x"), key("a")]),
            (r#" {"a": "{\"b\": 1, \"b\": 3.10}"} "#, vec![]),
        ] {
            assert_eq!(losses(text), expected, "{text}");
        }
    }
}
