//! Memories and other text from outside as one line or as a whole, fit for a terminal and for a model.
//!
//! A memory may hold control characters, line breaks and megabytes of text. Whatever is shown of it goes
//! through here.

use std::fmt::Write as _;

use vestige_traits::{MemoryRecord, SchedulingState};

use crate::times::{day, minute};

/// Whether a terminal would act on the character, or show the text around it in another order.
fn is_unsafe(c: char) -> bool {
    // Controls, and the marks that change the direction of what follows.
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with every character escaped that a terminal would obey: a memory must not move the cursor.
///
/// Line breaks and tabs stay; CRLF becomes LF.
///
/// ```
/// use vestige_memory::text::printable;
///
/// assert_eq!(printable("red: \u{1b}[31m"), "red: \\u{1b}[31m");
/// ```
pub fn printable(text: &str) -> String {
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

/// [`printable`] in one line: lines are trimmed and joined by a space, empty ones and tabs are dropped.
pub fn one_line(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(printable).collect();
    lines.join(" ").replace('\t', " ")
}

/// The beginning of a text as [`one_line`], at most `max` characters with the ellipsis that a cut text ends
/// with.
pub fn shortened(text: &str, max: usize) -> String {
    // Nothing beyond a multiple of what is shown needs to be looked at.
    let head: String = text.chars().take(max * 2 + 1).collect();
    let line = one_line(&head);
    let cut = head.len() < text.len() || line.chars().count() > max;
    if cut { line.chars().take(max.saturating_sub(1)).chain(['…']).collect() } else { line }
}

/// A number and its English noun: `1 memory`, `2 memories`.
pub fn counted(number: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

/// The type, code base, day and tags of a memory in one line: `fact · tidewater · 2026-01-12 · #tag`.
pub fn labels(record: &MemoryRecord) -> String {
    let mut line = one_line(&record.node_type);
    if let Some(codebase) = &record.codebase {
        let _ = write!(line, " · {}", one_line(codebase));
    }
    let _ = write!(line, " · {}", day(record.created_at));
    for (at, tag) in record.tags.iter().enumerate() {
        let gap = if at == 0 { " · " } else { " " };
        let _ = write!(line, "{gap}#{}", one_line(tag));
    }
    line
}

/// The schedule of a memory in one line, such as
/// `recall 0.93 now · stability 2.31 days · difficulty 2.1 of 10 · due 2026-02-02 19:21 UTC · 1 review, 0
/// lapses`.
///
/// `state` is as of now: see [`as_of`](crate::as_of).
pub fn schedule_line(state: &SchedulingState) -> String {
    let due =
        state.next_review.map_or_else(|| "not scheduled".to_owned(), |time| format!("due {}", minute(time)));
    format!(
        "recall {:.2} now · stability {:.2} days · difficulty {:.1} of 10 · {due} · {}, {}",
        state.retrievability,
        state.stability,
        state.difficulty,
        counted(u64::from(state.reps), "review"),
        counted(u64::from(state.lapses), "lapse"),
    )
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
