//! Rust source as the rules read it: code, comments and literals told apart.

/// What a character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Comment,
    /// A string or character literal, with its quotes.
    Literal,
}

/// Each character with what it belongs to, in order.
///
/// Nested block comments count as one that ends at the first `*/`; nothing here writes them.
pub(super) fn classify(text: &str) -> Vec<(char, Kind)> {
    let mut classified = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let in_name = before.is_alphanumeric() || before == '_';
        let (kind, length) = if rest.starts_with("//") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if let Some(length) = literal(rest).filter(|_| !in_name || next == '"') {
            (Kind::Literal, length)
        } else {
            (Kind::Code, next.len_utf8())
        };
        let (piece, others) = rest.split_at(length);
        classified.extend(piece.chars().map(|c| (c, kind)));
        before = piece.chars().next_back().unwrap_or(next);
        rest = others;
    }
    classified
}

/// The text with a blank for each character of a comment or a literal; lines stay.
pub(super) fn code_only(text: &str) -> String {
    let blank = |(c, kind)| if kind == Kind::Code || c == '\n' { c } else { ' ' };
    classify(text).into_iter().map(blank).collect()
}

/// The length of the literal that the text begins with.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let prefix = text.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = prefix + 1 + hashes + 1;
            return Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()));
        }
        return None;
    }
    if unprefixed.starts_with('"') {
        let mut escaped = false;
        for (at, c) in unprefixed.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Some(prefix + at + 1),
                _ => {}
            }
        }
        return Some(text.len());
    }
    let character = unprefixed.strip_prefix('\'')?;
    let length = match character.strip_prefix('\\') {
        // An escape ends at the next quote, but for the escape of a quote.
        Some(escape) => {
            1 + escape
                .find('\'')
                .filter(|&at| at > 0)
                .or_else(|| escape.strip_prefix('\'').and_then(|rest| rest.find('\'').map(|at| at + 1)))?
        }
        None => character.chars().next()?.len_utf8(),
    };
    // A lifetime has no closing quote.
    character[length..].starts_with('\'').then_some(prefix + 1 + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_comments_and_literals() {
        let blanked = |text: &str| code_only(text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(blanked("a(); // use b;\nc();"), "a(); c();");
        assert_eq!(blanked("a(/* b */ c)"), "a( c)");
        assert_eq!(blanked(r#"f("a \" // b", x)"#), "f( , x)");
        assert_eq!(blanked(r##"f(r#"a "b" c"#, x)"##), "f( , x)");
        assert_eq!(blanked(r"f(b'\'', '\\', 'x', '\u{1f600}', 'é')"), "f( , , , , )");
        assert_eq!(blanked("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(blanked("for x in b {}"), "for x in b {}");
    }
}
