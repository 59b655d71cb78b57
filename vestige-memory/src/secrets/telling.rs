//! Credentials without a shape of their own, behind a word that announces one: `db_password = …`, "the
//! password is …", `Authorization: Bearer …`.

use super::chance::{is_filler, looks_random};
use super::span::Span;
use super::words::{are_words, is_code, stands_for_a_value};

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Chosen by a person: six characters and more.
    Password,
    /// Drawn by a machine: sixteen characters and more.
    Key,
}

use Family::{Key, Password};

/// A word that announces a credential, at the end of a name.
struct Telling {
    word: &'static str,
    family: Family,
    /// What must stand before it.
    needs: Needs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Another part of the same name: `db_pass`, `dbPass`.
    Name,
    /// What kind of key it is: `api key`, `accessKey`.
    Qualifier,
    /// `Authorization`.
    Header,
    /// `mot de`.
    French,
}

const fn telling(word: &'static str, family: Family, needs: Needs) -> Telling {
    Telling { word, family, needs }
}

const TELLING: [Telling; 31] = [
    telling("password", Password, Needs::Nothing),
    telling("passwd", Password, Needs::Nothing),
    telling("passphrase", Password, Needs::Nothing),
    telling("passcode", Password, Needs::Nothing),
    telling("pwd", Password, Needs::Nothing),
    telling("pass", Password, Needs::Name),
    telling("passwort", Password, Needs::Nothing),
    telling("kennwort", Password, Needs::Nothing),
    telling("wachtwoord", Password, Needs::Nothing),
    telling("passe", Password, Needs::French),
    telling("contraseña", Password, Needs::Nothing),
    telling("senha", Password, Needs::Nothing),
    telling("hasło", Password, Needs::Nothing),
    telling("lösenord", Password, Needs::Nothing),
    telling("şifre", Password, Needs::Nothing),
    telling("пароль", Password, Needs::Nothing),
    telling("Пароль", Password, Needs::Nothing),
    telling("密码", Password, Needs::Nothing),
    telling("密碼", Password, Needs::Nothing),
    telling("口令", Password, Needs::Nothing),
    telling("パスワード", Password, Needs::Nothing),
    telling("비밀번호", Password, Needs::Nothing),
    telling("secret", Key, Needs::Nothing),
    telling("token", Key, Needs::Nothing),
    telling("apikey", Key, Needs::Nothing),
    telling("key", Key, Needs::Qualifier),
    telling("pat", Key, Needs::Name),
    telling("credential", Key, Needs::Nothing),
    telling("credentials", Key, Needs::Nothing),
    telling("bearer", Key, Needs::Nothing),
    telling("basic", Key, Needs::Header),
];
/// What makes a key one that is kept secret.
const QUALIFIERS: [&str; 20] = [
    "api",
    "access",
    "accesskey",
    "account",
    "admin",
    "app",
    "auth",
    "client",
    "deploy",
    "encryption",
    "license",
    "master",
    "private",
    "secret",
    "service",
    "shared",
    "signing",
    "storage",
    "subscription",
    "webhook",
];
/// What makes a token one that opens nothing.
const HARMLESS: [&str; 8] =
    ["page", "next", "continuation", "public", "resume", "sync", "cancellation", "change"];

/// The longest name, word and value, in bytes.
const MAX_NAME: usize = 80;
const MAX_VALUE: usize = 512;
/// How far behind its word "the password for staging is …" says the value.
const MAX_ASIDE: usize = 60;

pub(super) fn find(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = next_name(text, from) {
        from = end;
        let Some(family) = announced(text, start, end) else { continue };
        let Some(value) = value(text, start, end) else { continue };
        if value.is_credential(family, &text[value.start..value.end]) {
            found.push(Span { kind: kind(family), start: value.start, end: value.end });
            from = value.end;
        }
    }
    found
}

/// Whether a value under a name, such as those of an object in JSON, is a credential.
pub(super) fn kind_of_pair(name: &str, value: &str) -> Option<&'static str> {
    let start = name.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
    let start = if name.is_char_boundary(start) { start } else { 0 };
    let family = announced(name, start, name.len())?;
    let found = Value { start: 0, end: value.len(), is_quoted: true };
    found.is_credential(family, value).then(|| kind(family))
}

fn kind(family: Family) -> &'static str {
    match family {
        Password => "password behind a word that announces it",
        Key => "random string behind a word that announces a key",
    }
}

/// The next run of letters, digits and underscores. Han, kana and Hangul end before what is not.
fn next_name(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut start = from;
    while bytes.get(start).is_some_and(|byte| byte.is_ascii() && !is_ascii_word(*byte)) {
        start += 1;
    }
    let mut end = start;
    let mut before_is_east_asian = false;
    loop {
        let byte = *bytes.get(end)?;
        if byte.is_ascii() {
            if !is_ascii_word(byte) || before_is_east_asian {
                break;
            }
            end += 1;
        } else {
            let c = text[end..].chars().next()?;
            if !c.is_alphanumeric() {
                end += if end == start { c.len_utf8() } else { 0 };
                break;
            }
            before_is_east_asian = c >= '\u{2e80}';
            end += c.len_utf8();
        }
        if end == bytes.len() {
            break;
        }
    }
    Some((start, end))
}

fn is_ascii_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What a name announces.
fn announced(text: &str, start: usize, end: usize) -> Option<Family> {
    let name = text[start..end].trim_end_matches(['是', '为', '為', 'は']);
    let last = name.as_bytes().last()?.to_ascii_lowercase();
    if name.len() > MAX_NAME {
        return None;
    }
    let telling = TELLING.iter().find(|telling| {
        telling.word.as_bytes().last() == Some(&last)
            && ends_with(name, telling.word)
            && telling.fits(text, start, name)
    })?;
    Some(telling.family)
}

fn ends_with(name: &str, word: &str) -> bool {
    name.len()
        .checked_sub(word.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(word))
}

impl Telling {
    fn fits(&self, text: &str, start: usize, name: &str) -> bool {
        let at = name.len() - self.word.len();
        let before = &name[..at];
        // A word of another line qualifies nothing.
        let nearby = |most: usize| {
            let mut from = (start + at).saturating_sub(most);
            while !text.is_char_boundary(from) {
                from += 1;
            }
            let near = &text[from..start + at];
            near.rsplit('\n').next().unwrap_or(near).to_ascii_lowercase()
        };
        match self.needs {
            Needs::Nothing => {
                let before = nearby(24);
                let before = before.trim_end_matches(['_', '-', ' ', '.']);
                !HARMLESS.iter().any(|word| before.ends_with(word))
            }
            Needs::Name => {
                let is_camel = name[at..].starts_with(|c: char| c.is_ascii_uppercase())
                    && before.ends_with(|c: char| c.is_ascii_lowercase());
                before.len() >= 2 && (before.ends_with('_') || is_camel)
            }
            Needs::Qualifier => {
                let before = nearby(24);
                let before = before.trim_end_matches(['_', '-', ' ']);
                QUALIFIERS.iter().any(|word| before.ends_with(word))
            }
            Needs::Header => nearby(24).contains("authorization"),
            Needs::French => nearby(12).ends_with("mot de "),
        }
    }
}

/// Where a value stands that a name announces, in bytes.
struct Value {
    start: usize,
    end: usize,
    is_quoted: bool,
}

fn value(text: &str, start: usize, end: usize) -> Option<Value> {
    // `${PASSWORD:-…}`, and its like of other languages.
    if text[..start].ends_with("${") {
        return None;
    }
    let name = &text[start..end];
    let limit = (end + MAX_VALUE).min(text.len());
    let mut at = end;
    let bytes = text.as_bytes();
    let skip = |at: &mut usize, skipped: &[u8], most: usize| {
        let count = bytes[*at..limit].iter().take(most).take_while(|byte| skipped.contains(byte)).count();
        *at += count;
        count
    };
    let is_flag = text[..start].ends_with('-') || text[..start].ends_with("-u ");
    let says_is = name.ends_with(['是', '为', '為', 'は']);
    let closers = skip(&mut at, b"\"'`*])\\", 4);
    let spaces = skip(&mut at, b" \t", 8);
    let mut is_quoted_at_once = false;
    if let Some(length) = separator(&text[at..]) {
        at += length;
    } else if closers == 0 && spaces > 0 && (is_flag || is_scheme(name)) {
        // `--token VALUE`, `Bearer VALUE`.
    } else if closers == 0 && spaces == 1 && text[at..].starts_with(['`', '"', '\'', '“', '„', '«']) {
        is_quoted_at_once = true;
    } else if closers == 0
        && spaces > 0
        && let Some(length) = aside(&text[at..])
    {
        at += length;
    } else if closers == 0 && spaces == 1 {
        // `auth token VALUE`, where nothing but a key can be meant.
        return bare(text, at).filter(|found| is_long_and_random(&text[found.start..found.end]));
    } else if !says_is {
        return None;
    }
    skip(&mut at, b" \t*", 8);
    // `password: &str = "…"`.
    if let Some(length) = type_of_code(&text[at..]) {
        at += length;
    }
    let found = quoted(text, at).or_else(|| if is_quoted_at_once { None } else { bare(text, at) })?;
    (found.end > found.start).then_some(found)
}

fn is_long_and_random(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() >= 24
        && digits >= 3
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && looks_random(text.as_bytes())
}

fn is_scheme(name: &str) -> bool {
    name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic")
}

/// How long the words or signs are that join a name and its value.
fn separator(text: &str) -> Option<usize> {
    const SIGNS: [&str; 8] = ["=>", ":=", "===", "==", "=", ":", "：", "＝"];
    const WORDS: [&str; 26] = [
        "is now set to ",
        "is set to ",
        "is still ",
        "is now ",
        "is: ",
        "is ",
        "was changed to ",
        "was set to ",
        "was ",
        "set to ",
        "changed to ",
        "to ",
        "ist jetzt ",
        "ist: ",
        "ist ",
        "lautet ",
        "lautet: ",
        "est ",
        "es ",
        "é ",
        "è ",
        "to: ",
        "— ",
        "– ",
        "- ",
        "-> ",
    ];
    let text = text.strip_prefix("!=").map_or(text, |_| "");
    SIGNS.iter().chain(&WORDS).find(|sign| text.starts_with(**sign)).map(|sign| sign.len())
}

/// How long an aside is with the words that end it: `for staging is `.
fn aside(text: &str) -> Option<usize> {
    ["for ", "of ", "on ", "to ", "für ", "von ", "pour ", "para ", "do ", "de ", "от ", "для "]
        .iter()
        .find(|w| text.starts_with(**w))?;
    let mut end = text.len().min(MAX_ASIDE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let near = &text[..end];
    let near = near.split(['\n', ',', ';', '.']).next()?;
    [" is ", " is: ", " ist ", " lautet ", " est ", " es ", " é ", ": ", " = "]
        .iter()
        .filter_map(|word| near.find(word).map(|at| at + word.len()))
        .min()
}

/// How long a type with its `=` is, as code writes it between a name and its value.
fn type_of_code(text: &str) -> Option<usize> {
    let (written, _) = text.get(..40).unwrap_or(text).split_once('=')?;
    let is_type = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '&' | '\'' | '<' | '>' | '[' | ']' | '_' | ' ' | '?' | '.')
    };
    let one_word = !written.trim_end().contains(' ') || written.starts_with("&'");
    let is_spaced = written.ends_with(' ') && text[written.len() + 1..].starts_with(' ');
    (is_spaced && one_word && written.chars().all(is_type)).then_some(written.len() + 2)
}

/// A value in quotes, on one line.
fn quoted(text: &str, at: usize) -> Option<Value> {
    let mut start = at;
    let rest = &text[at..];
    // b"…", r"…", \"…\".
    if rest.starts_with(['b', 'r', 'f', 'u', '@', '\\']) && rest[1..].starts_with(['"', '\'']) {
        start += 1;
    }
    let open = text[start..].chars().next()?;
    let close = match open {
        '"' | '\'' | '`' => open,
        '“' => '”',
        '„' => '“',
        '«' => '»',
        _ => return None,
    };
    start += open.len_utf8();
    let mut limit = (start + MAX_VALUE).min(text.len());
    while !text.is_char_boundary(limit) {
        limit -= 1;
    }
    let inside = &text[start..limit];
    let length = inside.find([close, '\n'])?;
    let length = if inside[..length].ends_with('\\') { length - 1 } else { length };
    inside[length..].starts_with([close, '\\']).then_some(Value {
        start,
        end: start + length,
        is_quoted: true,
    })
}

/// A value without quotes: up to a space, or to what ends a value in code and in sentences.
fn bare(text: &str, at: usize) -> Option<Value> {
    let mut limit = (at + MAX_VALUE).min(text.len());
    while !text.is_char_boundary(limit) {
        limit -= 1;
    }
    let rest = &text[at..limit];
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | '\\' | '。' | '，' | '、' | '&')
    };
    let length = rest.find(ends).unwrap_or(rest.len());
    let value = rest[..length].trim_end_matches(['.', ':', '!', '?', '*', ')', ']', '}', '”', '»']);
    Some(Value { start: at, end: at + value.len(), is_quoted: false })
}

impl Value {
    fn is_credential(&self, family: Family, text: &str) -> bool {
        let min = if family == Password { 6 } else { 16 };
        if text.len() < min || text.len() >= MAX_VALUE || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        let known = stands_for_a_value(text) || is_filler(text.as_bytes()) || are_words(text);
        if known || (!self.is_quoted && is_code(text)) {
            return false;
        }
        let has = |is: fn(u8) -> bool| text.bytes().any(is);
        let has_digit = has(|byte| byte.is_ascii_digit());
        let has_sign =
            has(|byte| matches!(byte, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'*' | b'?' | b'~' | b'&'));
        has(|byte| byte.is_ascii_alphabetic())
            && match family {
                Password => has_digit || has_sign,
                Key => has_digit && looks_random(text.as_bytes()),
            }
    }
}
