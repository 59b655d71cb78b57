//! How long an answer may be.
//!
//! Clients cut an answer or refuse it beyond a number of tokens: 25,000 in one that is used much. How many
//! tokens a text has depends on the model, so they are estimated from above, in units: a character of ASCII
//! is one, one of two bytes in UTF-8 (Greek, Cyrillic, Hebrew, Arabic) two, one of three bytes (Chinese,
//! Japanese, Korean, Thai, Devanagari) four, one of four bytes (emoji, rare characters) eight. English prose
//! has four units to a token, code and ids two to three, Chinese and Japanese three to four, so an answer of
//! 40,000 units has 10,000 to 20,000 tokens.

/// How many units the text of an answer may have.
pub(crate) const ANSWER: usize = 40_000;
/// How many units of one memory a list shows, however much room there is.
pub(crate) const LISTED: usize = 4_000;
/// How many units a list shows of a memory that stands near another.
pub(crate) const NEARBY: usize = 1_000;
/// The fewest units of a memory that are shown.
const MIN_SHOWN: usize = 200;
/// What an answer keeps for its own words, and for the labels of each memory.
const RESERVED: usize = 1_000;

/// The units of a text.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(unit).sum()
}

fn unit(c: char) -> usize {
    match c.len_utf8() {
        1 => 1,
        2 => 2,
        3 => 4,
        _ => 8,
    }
}

/// The beginning of a text, of at most so many units.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut left = most;
    for (at, c) in text.char_indices() {
        match left.checked_sub(unit(c)) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

/// Shares the room of an answer among memories that are shown one after another: what one leaves is there for
/// those after it.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
    memories: usize,
}

impl Room {
    /// The room of an answer that shows so many memories.
    pub(crate) fn for_memories(memories: usize) -> Self {
        Self { left: ANSWER - RESERVED, memories }
    }

    /// The first half of the room of an answer that shows so many results, and what stands around them.
    pub(crate) fn for_results(results: usize) -> Self {
        Self { left: (ANSWER - RESERVED) / 2, memories: results }
    }

    /// The second half, and what the results left, for so many memories around them.
    pub(crate) fn for_nearby(results: &Self, nearby: usize) -> Self {
        Self { left: (ANSWER - RESERVED) / 2 + results.left, memories: nearby }
    }

    /// How many units the next memory may have.
    pub(crate) fn next(&self) -> usize {
        (self.left / self.memories.max(1)).max(MIN_SHOWN)
    }

    /// Whether nothing is left for another memory.
    pub(crate) fn is_full(&self) -> bool {
        self.left < MIN_SHOWN
    }

    /// A memory was shown with this text.
    pub(crate) fn used(&mut self, text: &str) {
        self.left = self.left.saturating_sub(units(text));
        self.memories = self.memories.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_counts_by_the_tokens_that_it_may_have() {
        for (text, expected) in [("abc", 3), ("é", 2), ("港", 4), ("한국", 8), ("🔑", 8), ("", 0)] {
            assert_eq!(units(text), expected, "{text}");
        }
        assert_eq!(beginning("a港b", 4), "a");
        assert_eq!(beginning("a港b", 5), "a港");
        assert_eq!(beginning("a港b", 6), "a港b");
    }

    #[test]
    fn what_a_short_memory_leaves_is_there_for_those_after_it() {
        let mut room = Room::for_memories(2);
        let first = room.next();
        room.used("short");
        assert_eq!(room.next(), 2 * first - 5);
        room.used(&"x".repeat(ANSWER));
        assert_eq!((room.next(), room.is_full()), (MIN_SHOWN, true));
    }
}
