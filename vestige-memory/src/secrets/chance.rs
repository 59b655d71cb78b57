//! Whether characters look as if a machine had drawn them, or as if they stood for a credential.

/// Whether the characters look random, and not like words or names in code.
///
/// In words, letters follow letters of the same case, but for a capital at the beginning. In random text the
/// class of a character (small letter, capital, digit) changes at nearly every second place.
pub(super) fn looks_random(text: &[u8]) -> bool {
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let has_small = text.iter().any(u8::is_ascii_lowercase);
    // A machine writes base32 and some hexadecimal digits in capitals only.
    if !has_small {
        return letters >= 2 && digits >= 1;
    }
    if text.iter().all(u8::is_ascii_hexdigit) {
        return letters >= 2 && digits >= 2;
    }
    let capitals = text.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let is_mixed = 3 * capitals >= letters && 3 * (letters - capitals) >= letters;
    is_mixed || changes(text) * 5 >= letters + digits
}

/// How often the class changes from one letter or digit to the next. A capital before a small letter is no
/// change: so words begin.
fn changes(text: &[u8]) -> usize {
    let pairs = text.windows(2).filter(|pair| match (class(pair[0]), class(pair[1])) {
        (Some(Class::Capital), Some(Class::Small)) => false,
        (Some(before), Some(after)) => before != after,
        _ => false,
    });
    pairs.count()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Capital,
    Digit,
}

fn class(byte: u8) -> Option<Class> {
    match byte {
        b'a'..=b'z' => Some(Class::Small),
        b'A'..=b'Z' => Some(Class::Capital),
        b'0'..=b'9' => Some(Class::Digit),
        _ => None,
    }
}

/// Words that stand in a text where its readers shall put a credential.
const STANDS_FOR: [&str; 20] = [
    "example",
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "redacted",
    "dummy",
    "replace",
    "insert",
    "your-",
    "your_",
    "yourtoken",
    "yourpass",
    "yourkey",
    "yoursecret",
    "todo",
    "xxxx",
    "123456789",
    "abcdefgh",
    "not-a-real",
];

/// Whether a text stands for a credential: `xxxx`, `changeme`, `AKIA…EXAMPLE`.
pub(super) fn is_filler(text: &[u8]) -> bool {
    let mut kinds = [false; 256];
    text.iter().for_each(|byte| kinds[usize::from(byte.to_ascii_lowercase())] = true);
    let different = kinds.iter().filter(|seen| **seen).count();
    // Sixteen random hexadecimal digits have eight different ones at least, nearly always.
    let few = match text.len() {
        0..8 => 3,
        8..16 => 4,
        _ => 7,
    };
    if different < few {
        return true;
    }
    STANDS_FOR
        .iter()
        .any(|word| text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
}
