//! Text from outside, made fit for a terminal.

use std::fmt::Write as _;

/// Whether a terminal would act on the character, or show other text than stands there.
fn is_unsafe(c: char) -> bool {
    // Controls, and the marks that change the direction of what follows.
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with everything written out that a terminal would obey: a memory must not move the cursor.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        if is_unsafe(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// [`printable`] in one line.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(printable).collect();
    lines.join(" ").replace('\t', " ")
}

/// The first `max` characters of a text in one line, with an ellipsis where something is cut.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    // Nothing beyond a multiple of what is shown needs to be looked at.
    let head: String = text.chars().take(max * 2 + 1).collect();
    let line = one_line(&head);
    let cut = head.len() < text.len() || line.chars().count() > max;
    if cut { line.chars().take(max.saturating_sub(1)).chain(['…']).collect() } else { line }
}

/// `1 memory`, `2 memories`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}"), "a\\u{1b}[2Jb\\u{7}");
        assert_eq!(printable("safe\u{202e}txt"), "safe\\u{202e}txt");
        assert_eq!(printable("two\r\nlines\tand naïve 日本 😀"), "two\nlines\tand naïve 日本 😀");
    }

    #[test]
    fn nouns_follow_their_numbers() {
        assert_eq!(counted(1, "memory"), "1 memory");
        assert_eq!(counted(0, "memory"), "0 memories");
        assert_eq!(counted(2, "link"), "2 links");
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("a\n\n  b", 6), "a b");
        assert_eq!(shortened(&"é".repeat(1000), 3), "éé…");
    }
}
