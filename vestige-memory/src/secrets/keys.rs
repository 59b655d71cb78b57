//! Private keys in PEM and in the formats of PGP and PuTTY.

use super::span::Span;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// How far behind its heading the end of a key is looked for. The longest RSA key takes 13 KB.
const MAX_KEY: usize = 32 << 10;
/// How far behind its heading a key begins: lines such as `Proc-Type: 4,ENCRYPTED` may stand between.
const MAX_HEADERS: usize = 400;
/// How long the first line of a key is at least. What is shorter stands for a key.
const MIN_LINE: usize = 30;

pub(super) fn find(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN) {
        let start = from + at;
        from = start + BEGIN.len();
        let Some((label, _)) = text[from..].split_once("-----") else { break };
        if label.len() > 40 || !(label.ends_with("PRIVATE KEY") || label == "PGP PRIVATE KEY BLOCK") {
            continue;
        }
        let body = from + label.len() + 5;
        let Some(first_line) = first_line(&text.as_bytes()[body..]) else { continue };
        let limit = text.len().min(body + MAX_KEY);
        let rest = &text.as_bytes()[body..limit];
        // What follows a key is its end, or another heading.
        let end = match rest.windows(5).position(|part| part == b"-----") {
            Some(end) if rest[end..].starts_with(END.as_bytes()) => {
                let tail = &rest[end + END.len()..];
                let dashes = tail.windows(5).take(60).position(|part| part == b"-----");
                body + end + dashes.map_or(END.len(), |dashes| END.len() + dashes + 5)
            }
            // Cut off: what is there of it.
            _ => body + first_line,
        };
        found.push(Span { kind: "private key", start, end });
        from = end;
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("Private-Lines: ") {
        let start = from + at;
        from = start + 15;
        if let Some(end) = first_line(&text.as_bytes()[from..]) {
            found.push(Span { kind: "private key", start, end: from + end });
            from += end;
        }
    }
    found
}

/// Where the first long line of base64 ends, if one is near.
fn first_line(text: &[u8]) -> Option<usize> {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut at = 0;
    while at < text.len().min(MAX_HEADERS) {
        let length = text[at..].iter().take(4096).take_while(|byte| is_base64(byte)).count();
        let line = &text[at..at + length];
        let letters = line.iter().filter(|byte| byte.is_ascii_uppercase()).count();
        if length >= MIN_LINE && letters >= 4 && !super::chance::is_filler(line) {
            return Some(at + length);
        }
        at += length.max(1);
    }
    None
}
