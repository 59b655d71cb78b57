//! Tokens of known shapes: finds what the table of rules describes.

use std::sync::LazyLock;

use super::chance::{is_filler, looks_random};
use super::rules::{Part, RULES, Rule};
use super::span::Span;

/// The rules by the first byte of what they match.
static BY_FIRST_BYTE: LazyLock<Vec<Vec<&'static Rule>>> = LazyLock::new(|| {
    let begins = |rule: &Rule, byte: u8| match rule.parts.first() {
        Some(Part::Is(text)) => text.as_bytes().first() == Some(&byte),
        Some(Part::Run(alphabet, ..)) => alphabet(byte),
        None => false,
    };
    (0..=u8::MAX).map(|byte| RULES.iter().filter(|rule| begins(rule, byte)).collect()).collect()
});

pub(super) fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let by_first_byte = &*BY_FIRST_BYTE;
    let mut found = Vec::new();
    let (mut at, mut behind_word) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        let begins = !behind_word || behind_escape(bytes, at);
        behind_word = is_word(byte);
        if begins && let Some((kind, end)) = first_match(&by_first_byte[usize::from(byte)], bytes, at) {
            found.push(Span { kind, start: at, end });
            (at, behind_word) = (end, true);
        } else {
            at += 1;
        }
    }
    found
}

fn first_match(rules: &[&'static Rule], bytes: &[u8], at: usize) -> Option<(&'static str, usize)> {
    rules.iter().find_map(|rule| Some((rule.kind, rule.end(bytes, at)?)))
}

impl Rule {
    /// Where a token that begins at `at` ends. Its random part is neither a word nor a placeholder.
    fn end(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let mut end = at;
        let mut random: &[u8] = &[];
        for part in self.parts {
            match part {
                Part::Is(text) if bytes[end..].starts_with(text.as_bytes()) => end += text.len(),
                Part::Is(_) => return None,
                Part::Run(alphabet, min, max) => {
                    let rest = &bytes[end..];
                    let length = rest.iter().take(*max).take_while(|byte| alphabet(**byte)).count();
                    if length < *min || (length == *max && rest.get(length).is_some_and(|b| alphabet(*b))) {
                        return None;
                    }
                    if length > random.len() {
                        random = &rest[..length];
                    }
                    end += length;
                }
            }
        }
        let ends = bytes.get(end).is_none_or(|byte| !is_word(*byte));
        (ends && is_drawn(random) && !is_filler(random)).then_some(end)
    }
}

/// Whether it looks random, or a part of it between dashes does.
fn is_drawn(random: &[u8]) -> bool {
    let mut parts = random.split(|byte| matches!(byte, b'-' | b'_'));
    looks_random(random) || parts.any(|part| part.len() >= 12 && looks_random(part))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a letter before this place belongs to an escape, as in `\nTOKEN`.
fn behind_escape(bytes: &[u8], at: usize) -> bool {
    at >= 2 && bytes[at - 2] == b'\\' && matches!(bytes[at - 1], b'n' | b'r' | b't')
}
