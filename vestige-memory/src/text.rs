//! Memories and other text from outside as one line or as a whole, fit for a terminal and for a model.
//!
//! A memory may hold control characters, line breaks and megabytes of text. Whatever is shown of it goes
//! through here.

use std::fmt::Write as _;

use vestige_traits::scheduling::SchedulingState;
use vestige_traits::{MemoryRecord, Passage};

use crate::times::{day, minute};

/// Whether a terminal would act on the character, or show the text around it in another order.
fn is_obeyed(c: char) -> bool {
    // Controls, the marks that change the direction of what follows, and the separators of lines.
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character between two others shows nothing where it has no work to do: a model reads what a
/// person does not see.
fn is_hidden(before: Option<char>, c: char, after: Option<char>) -> bool {
    let is = |neighbour: Option<char>, test: fn(char) -> bool| neighbour.is_some_and(test);
    let is_foreign = |c: char| !c.is_ascii();
    let is_right_to_left = |c: char| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fefc}');
    let is_selector = |c: char| matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    match c {
        // Soft hyphen, fillers, zero width space, invisible operators, byte order mark, tags.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        // The joiners shape letters of Arabic and Indic scripts, and emoji.
        '\u{200c}' | '\u{200d}' => !(is(before, is_foreign) && is(after, is_foreign)),
        // The marks of direction stand beside letters that are written from right to left.
        '\u{61c}' | '\u{200e}' | '\u{200f}' => !(is(before, is_right_to_left) || is(after, is_right_to_left)),
        // One selector says how the character before it looks; a row of them says something else.
        _ if is_selector(c) => before.is_none() || is(before, is_selector) || is(after, is_selector),
        _ => false,
    }
}

/// The text with every character escaped that a terminal would obey, or that nobody would see: a memory must
/// not move the cursor, and not say to a model what it does not say to a person.
///
/// Line breaks and tabs stay; CRLF becomes LF. Joiners, marks of direction and variation selectors stay where
/// scripts and emoji need them.
///
/// ```
/// use vestige_memory::text::printable;
///
/// assert_eq!(printable("red: \u{1b}[31m"), "red: \\u{1b}[31m");
/// ```
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        if c == '\r' && after == Some('\n') {
            continue;
        }
        if is_obeyed(c) || is_hidden(before, c, after) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
        before = Some(c);
    }
    out
}

/// A JSON text with every character escaped that a terminal would obey. It has the same value.
///
/// ```
/// use vestige_memory::text::terminal_safe_json;
///
/// assert_eq!(terminal_safe_json("[\"\u{9b}2J\"]".to_owned()), r#"["\u009b2J"]"#);
/// ```
pub fn terminal_safe_json(json: String) -> String {
    if !json.chars().any(is_obeyed) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of strings JSON has line feeds and carriage returns alone, and they are no part of one.
        if is_obeyed(c) && c != '\r' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
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

/// A passage of a text in one line, as [`shortened`], with an ellipsis where the text goes on before or
/// after it.
///
/// ```
/// use vestige_memory::text::excerpt;
/// use vestige_traits::Passage;
///
/// let text = "one two three four";
/// assert_eq!(excerpt(text, Passage { start: 4, end: 14 }, 80), "…two three…");
/// ```
pub fn excerpt(text: &str, passage: Passage, max: usize) -> String {
    let part = passage.of(text);
    let mut line = shortened(part, max);
    if passage.start > 0 {
        line.insert(0, '…');
    }
    if text.chars().nth(passage.end).is_some() && !line.ends_with('…') {
        line.push('…');
    }
    line
}

/// Where a part of a text stands that has so many characters: `characters 12340 to 13020 of 48211`.
pub fn place(part: Passage, characters: usize) -> String {
    format!("characters {} to {} of {characters}", part.start, part.end)
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
        assert_eq!(printable("two\u{2028}lines"), "two\\u{2028}lines");
    }

    #[test]
    fn what_nobody_sees_is_written_out() {
        for (text, shown) in [
            ("pass\u{200b}word", "pass\\u{200b}word"),
            ("\u{feff}x\u{ad}y", "\\u{feff}x\\u{ad}y"),
            ("hi\u{e0049}\u{e0067}", "hi\\u{e0049}\\u{e0067}"),
            ("a\u{200d}b", "a\\u{200d}b"),
            ("a\u{200e}b", "a\\u{200e}b"),
            ("a\u{fe00}\u{fe01}", "a\\u{fe00}\\u{fe01}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        for kept in [
            "👩\u{200d}💻",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "שלום\u{200f} C++",
            "❤\u{fe0f}",
            "#\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(printable(kept), kept);
        }
    }

    #[test]
    fn json_keeps_its_value_and_moves_no_cursor() {
        let text = "a\u{7f}b\u{9b}31mc\u{202e}d\u{1b}\n";
        let json = terminal_safe_json(serde_json::to_string_pretty(&[text]).unwrap());
        assert!(!json.chars().any(is_obeyed), "{json:?}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
    }

    #[test]
    fn nouns_follow_their_numbers() {
        assert_eq!(counted(1, "memory"), "1 memory");
        assert_eq!(counted(0, "memory"), "0 memories");
        assert_eq!(counted(2, "link"), "2 links");
    }

    #[test]
    fn an_excerpt_says_where_the_text_goes_on() {
        let of = |start, end, max| excerpt("né à\nKöln\u{1b}[2J, le 3 mai", Passage { start, end }, max);
        assert_eq!(of(0, 4, 80), "né à…");
        assert_eq!(of(3, 9, 80), "…à Köln…");
        assert_eq!(of(5, 13, 80), "…Köln\\u{1b}[2J…");
        assert_eq!(of(15, 23, 80), "…le 3 mai");
        assert_eq!(of(3, 23, 6), "…à Köl…");
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("a\n\n  b", 6), "a b");
        assert_eq!(shortened(&"é".repeat(1000), 3), "éé…");
    }
}
