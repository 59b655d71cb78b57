//! Passwords in URLs: `scheme://user:password@host`.

use super::chance::is_filler;
use super::span::Span;
use super::words::stands_for_a_value;

/// How much of a URL is looked at behind `://`.
const MAX_AUTHORITY: usize = 600;
/// Passwords of documentation.
const OF_DOCUMENTATION: [&str; 14] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "pw",
    "secret",
    "token",
    "pat",
    "mypassword",
    "my-password",
    "passwort",
    "test",
    "password1",
    "mysecretpassword",
];

pub(super) fn find(text: &str) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let scheme_end = from + at;
        from = scheme_end + 3;
        if scheme_end == 0 || !bytes[scheme_end - 1].is_ascii_alphanumeric() {
            continue;
        }
        let authority = authority(&bytes[from..]);
        let Some(host) = authority.iter().rposition(|byte| *byte == b'@') else { continue };
        let Some(colon) = authority[..host].iter().position(|byte| *byte == b':') else { continue };
        let (user, password) = (&authority[..colon], &authority[colon + 1..host]);
        let names_host =
            authority.get(host + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'[');
        if names_host && is_password(user, password) {
            let start = from + colon + 1;
            found.push(Span { kind: "password in a URL", start, end: start + password.len() });
            from += host;
        }
    }
    found
}

/// User, password, host and port. Ends with what a URL's authority ends with, or a text that it stands in.
fn authority(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().take(MAX_AUTHORITY).position(|byte| {
        byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'\\' | b',')
    });
    &bytes[..end.unwrap_or(bytes.len().min(MAX_AUTHORITY))]
}

fn is_password(user: &[u8], password: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(password) else { return false };
    let is_user = user.eq_ignore_ascii_case(password);
    let of_documentation = OF_DOCUMENTATION.iter().any(|word| word.eq_ignore_ascii_case(text));
    password.len() >= 3 && !is_user && !of_documentation && !stands_for_a_value(text) && !is_filler(password)
}
