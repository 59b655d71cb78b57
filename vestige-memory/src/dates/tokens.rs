//! A text as words, numbers and dates in figures, with what stands between them.

use std::ops::Range;

use chrono::NaiveDate;

/// A word, a number or a date.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    /// What stands between it and the token before.
    pub(super) gap: Gap,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    Space,
    /// A comma, with space around it or not.
    Comma,
    /// A hyphen or dash, with space around it or not.
    Dash,
    /// Nothing, or what makes one thing of both, such as `'` or `.`.
    Glue,
    /// The end of a sentence, a quoted phrase, or any other break.
    Break,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// In lower case; whether it began with a capital and went on without, as names do.
    Word { lower: String, is_name: bool },
    /// `is_plain` without anything that makes it a quantity or a part of a name: `$5`, `5%`, `8,000`, `v1.5`.
    Number { value: u32, digits: usize, is_ordinal: bool, is_plain: bool },
    /// `2023-05-08`.
    Day(NaiveDate),
    /// `2023-05`.
    Month { year: i32, month: u32 },
}

/// The quotes of phrases, as a search reads them.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a text outside of its phrases and exclusions.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    // Where the gap began, and whether something was left out of it.
    let (mut gap_from, mut is_broken) = (0, true);
    while let Some(c) = text[at..].chars().next() {
        let before = text[..at].chars().next_back();
        let is_negation = c == '-' && before.is_none_or(char::is_whitespace);
        let rest = &text[at + c.len_utf8()..];
        if is_quote(c) {
            at = skip_phrase(text, at);
            is_broken = true;
        } else if is_negation && rest.starts_with(|c: char| is_word(c) || is_quote(c)) {
            at += 1;
            at = match rest.starts_with(is_quote) {
                true => skip_phrase(text, at),
                false => end_of(text, at, |c| !c.is_whitespace() && !is_quote(c)),
            };
            is_broken = true;
        } else if is_word(c) {
            let (end, kind) = token(text, at);
            let gap = if is_broken { Gap::Break } else { gap(&text[gap_from..at]) };
            tokens.push(Token { range: at..end, gap, kind });
            (at, gap_from, is_broken) = (end, end, false);
        } else {
            at += c.len_utf8();
        }
    }
    tokens
}

fn end_of(text: &str, from: usize, mut holds: impl FnMut(char) -> bool) -> usize {
    text[from..].find(|c| !holds(c)).map_or(text.len(), |length| from + length)
}

/// The end of a phrase whose first quote is here.
fn skip_phrase(text: &str, at: usize) -> usize {
    let inside = end_of(text, at, is_quote);
    end_of(text, end_of(text, inside, |c| !is_quote(c)), is_quote)
}

fn gap(between: &str) -> Gap {
    let mut marks = between.chars().filter(|c| !c.is_whitespace());
    match (marks.next(), marks.next()) {
        (None, _) if between.is_empty() => Gap::Glue,
        (None, _) if between.contains('\n') => Gap::Break,
        (None, _) => Gap::Space,
        (Some(','), None) => Gap::Comma,
        (Some('-' | '–' | '—'), None) => Gap::Dash,
        (Some('\'' | '’' | '.' | '/' | ':' | '@' | '#' | '+' | '&'), None)
            if !between.contains(char::is_whitespace) =>
        {
            Gap::Glue
        }
        _ => Gap::Break,
    }
}

/// The token that begins here, and its end.
fn token(text: &str, at: usize) -> (usize, Kind) {
    if let Some(found) = date_in_figures(text, at) {
        return found;
    }
    let end = end_of(text, at, is_word);
    let word = &text[at..end];
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let ordinal = matches!(&word[digits..].to_ascii_lowercase()[..], "st" | "nd" | "rd" | "th");
    if (1..=4).contains(&digits) && (digits == word.len() || ordinal) {
        let value = word[..digits].parse().unwrap_or_default();
        let is_plain = is_plain(text, at, end);
        return (end, Kind::Number { value, digits, is_ordinal: ordinal, is_plain });
    }
    let mut letters = word.chars();
    let is_name = letters.next().is_some_and(char::is_uppercase) && letters.all(|c| !c.is_uppercase());
    (end, Kind::Word { lower: word.to_lowercase(), is_name })
}

/// Whether a number stands for itself.
fn is_plain(text: &str, from: usize, end: usize) -> bool {
    let mut before = text[..from].chars().rev();
    let begins = match (before.next(), before.next()) {
        (None, _) => true,
        (Some(','), mark) => !mark.is_some_and(|c| c.is_ascii_digit()) || end - from == 4,
        (Some(c), _) => c.is_whitespace() || matches!(c, '(' | '[' | '-' | '–' | '—'),
    };
    let mut after = text[end..].chars();
    let next = after.next();
    let ends = match next {
        None => true,
        Some(',') => {
            let digits = after.take_while(char::is_ascii_digit).count();
            digits == 0 || digits == 4
        }
        Some('.' | ':' | '\'' | '’') => !after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_whitespace() || ";!?)]-–—".contains(c) || is_quote(c),
    };
    begins && ends
}

/// `2023-05-08`, also with a time after it, `2023/05/08`, `2023-05`, and `25/12/2023` where only one of the
/// first two numbers can be the month.
fn date_in_figures(text: &str, at: usize) -> Option<(usize, Kind)> {
    if text[..at].chars().next_back().is_some_and(|c| is_word(c) || "-/.:#$€£".contains(c)) {
        return None;
    }
    let number = |at: &mut usize| -> Option<(u32, usize)> {
        let digits = text[*at..].bytes().take(5).take_while(u8::is_ascii_digit).count();
        let value = text[*at..*at + digits].parse().ok()?;
        *at += digits;
        Some((value, digits))
    };
    let mut end = at;
    let (first, digits) = number(&mut end)?;
    let mark = text[end..].chars().next().filter(|c| matches!(c, '-' | '/'))?;
    end += 1;
    let (second, second_digits) = number(&mut end)?;
    let is_over = |end: usize| {
        let mut after = text[end..].chars();
        match after.next() {
            None => true,
            Some('.' | ':' | ',') => !after.next().is_some_and(is_word),
            Some(c) => !is_word(c) && !"-/@#%".contains(c),
        }
    };
    let year = |year: u32| i32::try_from(year).ok();
    if digits == 4 && second_digits == 2 && mark == '-' && is_over(end) {
        let month = NaiveDate::from_ymd_opt(year(first)?, second, 1)?;
        return Some((end, Kind::Month { year: year(first)?, month: chrono::Datelike::month(&month) }));
    }
    text[end..].starts_with(mark).then_some(())?;
    end += 1;
    let (third, third_digits) = number(&mut end)?;
    if digits == 4 && second_digits == 2 && third_digits == 2 {
        let day = NaiveDate::from_ymd_opt(year(first)?, second, third)?;
        // The time after it is a part of it.
        let time = text[end..]
            .strip_prefix(['T', 't'])
            .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()));
        if time {
            let end = end_of(text, end, |c| is_word(c) || matches!(c, ':' | '.' | '+' | '-'));
            return Some((end, Kind::Day(day)));
        }
        return is_over(end).then_some((end, Kind::Day(day)));
    }
    if mark == '/' && digits <= 2 && second_digits <= 2 && third_digits == 4 && is_over(end) {
        let by = |month, day| NaiveDate::from_ymd_opt(year(third)?, month, day);
        let day = match (by(first, second), by(second, first)) {
            (Some(day), None) | (None, Some(day)) => day,
            (Some(one), Some(other)) if one == other => one,
            _ => return None,
        };
        return Some((end, Kind::Day(day)));
    }
    None
}
