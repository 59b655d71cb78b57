//! Names of months, weekdays and seasons, and the words that stand beside them.

/// What may stand in front of a month or a year that is one by that alone.
pub(super) const BEFORE_MONTH: [&str; 11] = [
    "in",
    "during",
    "since",
    "until",
    "till",
    "before",
    "after",
    "between",
    "through",
    "throughout",
    "around",
];
pub(super) const BEFORE_YEAR: [&str; 12] = [
    "in",
    "during",
    "since",
    "until",
    "till",
    "before",
    "after",
    "between",
    "throughout",
    "around",
    "year",
    "by",
];

/// What may follow `last may` or `this spring` if they name a time: "this spring boot app" names none.
pub(super) const AFTER_NAME: [&str; 26] = [
    "a", "about", "and", "at", "but", "by", "did", "for", "from", "he", "i", "in", "is", "of", "on", "or",
    "she", "that", "the", "they", "to", "was", "we", "were", "with", "you",
];

/// How sure a word is the name of a month.
pub(super) struct Month {
    pub(super) number: u32,
    /// Whether it is a word of another meaning too, or an abbreviation.
    pub(super) is_doubtful: bool,
}

pub(super) const WINTER: u32 = 12;

/// The month with which a season begins.
pub(super) fn season(word: &str) -> Option<u32> {
    Some(match word {
        "spring" => 3,
        "summer" => 6,
        "autumn" | "fall" => 9,
        "winter" => WINTER,
        _ => return None,
    })
}

pub(super) fn month(word: &str) -> Option<Month> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_full = |number: u32| NAMES.contains(&word) && !matches!(number, 3 | 5);
    let at = NAMES.iter().position(|name| {
        *name == word
            || (word.len() == 3 && name.starts_with(word))
            || (word == "sept" && *name == "september")
    })?;
    let number = at as u32 + 1;
    Some(Month { number, is_doubtful: !is_full(number) })
}

/// The days from Monday to this one.
pub(super) fn weekday(word: &str) -> Option<u64> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    NAMES.iter().position(|name| *name == word).map(|at| at as u64)
}

pub(super) fn ordinal(word: &str) -> Option<u32> {
    const NAMES: [&str; 4] = ["first", "second", "third", "fourth"];
    NAMES.iter().position(|name| *name == word).map(|at| at as u32 + 1)
}
