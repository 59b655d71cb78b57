//! Whether a text ends in a question.

/// How many characters at the end of a text tell whether it [`asks`].
pub const QUESTION_TAIL: usize = 32;

/// Whether a text ends in a question: in the question mark of some script, before white space, quotes and
/// brackets. Only its last [`QUESTION_TAIL`] characters are looked at.
pub fn asks(text: &str) -> bool {
    let closes = |c: char| c.is_whitespace() || "\"')]»”’」』".contains(c);
    let last = text.chars().rev().take(QUESTION_TAIL).find(|c| !closes(*c));
    last.is_some_and(|c| "?？؟\u{37e}՞⁇⁈‽".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_ends_in_the_mark_of_any_script() {
        for text in ["How?", "He said: “why?” ", "为什么？", "لماذا؟", "('really?')\n"] {
            assert!(asks(text), "{text}");
        }
        for text in ["", "?!", "No.", "Is it? Yes.", &("?".to_owned() + &" ".repeat(40))] {
            assert!(!asks(text), "{text}");
        }
    }
}
