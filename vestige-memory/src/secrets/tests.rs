use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use vestige_traits::MemoryRecord;

const SECRETS: &str = include_str!("labelled/secrets.txt");
const HARMLESS: &str = include_str!("labelled/harmless.txt");

/// The texts of a labelled file, with random characters where a template asks for them.
fn texts(file: &str, seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| filled(line, &mut random)).collect()
}

fn filled(line: &str, random: &mut StdRng) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let template = after.split_once('}').and_then(|(template, behind)| {
            let (name, count) = template.split_once(' ')?;
            Some((alphabet(name)?, count.parse::<usize>().ok()?, behind))
        });
        match template {
            Some((alphabet, count, behind)) => {
                text.extend((0..count).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])));
                rest = behind;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text.replace('¦', "").replace("\\\\n", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\n")
}

fn alphabet(name: &str) -> Option<&'static [u8]> {
    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    Some(match name {
        "digit" => &BASE64[52..62],
        "hex" => b"0123456789abcdef",
        "upperhex" => b"0123456789ABCDEF",
        "lower" => b"abcdefghijklmnopqrstuvwxyz0123456789",
        "letter" => &BASE64[..52],
        "alnum" => &BASE64[..62],
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base64" => BASE64,
        "url64" => URL64,
        _ => return None,
    })
}

/// A text without its marks, and the place in characters that they mark.
fn unmarked(text: &str) -> (String, usize, usize) {
    let (before, rest) = text.split_once('⟪').expect("a mark");
    let (secret, after) = rest.split_once('⟫').expect("a mark");
    let start = before.chars().count();
    (format!("{before}{secret}{after}"), start, start + secret.chars().count())
}

/// How many random fillings of the labelled texts are judged.
const FILLINGS: u64 = 20;

/// `--no-capture` shows the figures, and what is judged wrongly.
#[test]
fn precision_and_recall_on_the_labelled_texts_are_what_the_documentation_says() {
    let (mut right, mut missed, mut wrong, mut exact, mut harmless) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for seed in 0..FILLINGS {
        for text in texts(SECRETS, seed) {
            let (text, start, end) = unmarked(&text);
            let found = find(&text);
            let meets = found.iter().any(|secret| secret.start < end && start < secret.end);
            exact += u32::from(found.iter().any(|secret| (secret.start, secret.end) == (start, end)));
            right += u32::from(meets);
            missed += u32::from(!meets);
            let beside = found.iter().filter(|secret| secret.end <= start || end <= secret.start).count();
            wrong += u32::from(beside > 0);
            if seed == 0 && (!meets || beside > 0) {
                eprintln!("missed or beside: {text:?} {found:?}");
            }
        }
        for text in texts(HARMLESS, seed) {
            let found = find(&text);
            harmless += 1;
            wrong += u32::from(!found.is_empty());
            if !found.is_empty() && (seed == 0 || wrong < 10) {
                eprintln!("false alarm: {text:?} {found:?}");
            }
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    let (precision, recall) = (share(right, right + wrong), share(right, right + missed));
    eprintln!(
        "{} texts with a credential, {harmless} without: precision {precision:.4}, recall {recall:.4}, \
         of the found ones {:.4} with the exact place",
        right + missed,
        share(exact, right)
    );
    assert!(precision >= 0.999 && recall >= 0.92 && share(exact, right) >= 0.98, "{precision} {recall}");
}

/// The files of `VESTIGE_SECRETS_CORPUS`, separated by colons, line by line: `--no-capture` shows each
/// finding and how long it took.
#[test]
#[ignore = "judges files that a person names"]
fn findings_in_the_files_that_are_named() {
    let named = std::env::var("VESTIGE_SECRETS_CORPUS").expect("files");
    for path in named.split(':') {
        let bytes = std::fs::read(path).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        let began = std::time::Instant::now();
        let (mut lines, mut found) = (0, 0);
        for line in text.lines() {
            lines += 1;
            for secret in find(line) {
                found += 1;
                let from = secret.start.saturating_sub(30);
                let shown: String = line.chars().skip(from).take(secret.end - from + 10).take(120).collect();
                eprintln!("{secret}: {shown}");
            }
        }
        eprintln!("{path}: {found} findings in {lines} lines, {} bytes, {:?}", text.len(), began.elapsed());
    }
}

#[test]
fn every_rule_finds_a_token_of_its_shape_and_names_it() {
    use super::rules::{Part, RULES};
    let mut random = StdRng::seed_from_u64(7);
    for rule in RULES {
        let mut token = String::new();
        for part in rule.parts {
            match part {
                Part::Is(text) => token.push_str(text),
                Part::Run(alphabet, min, _) => {
                    let of_it: Vec<char> =
                        (b'0'..=b'z').filter(|byte| alphabet(*byte)).map(char::from).collect();
                    token.extend((0..*min).map(|_| of_it[random.random_range(0..of_it.len())]));
                }
            }
        }
        let found = find(&format!("é {token} behind it"));
        assert_eq!(found.len(), 1, "{}: {token}", rule.kind);
        assert_eq!((found[0].kind, found[0].start), (rule.kind, 2), "{token}");
    }
}

#[test]
fn a_place_is_in_characters_and_a_message_does_not_repeat_the_credential() {
    let token = format!("{}{}", "ghp_", "x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi");
    let found = find(&format!("ключ 🔑 {token} und {token}"));
    let places: Vec<_> = found.iter().map(|secret| (secret.start, secret.end)).collect();
    assert_eq!(places, [(7, 47), (52, 92)]);
    assert_eq!(found[0].to_string(), "characters 7 to 47 look like a credential (GitHub token)");
}

#[test]
fn every_field_of_a_memory_is_looked_at_and_a_key_that_is_a_token_is_not_named() {
    let token = format!("{}{}", "ghp_", "x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi");
    let mut record = MemoryRecord::new_at("plain", chrono::DateTime::UNIX_EPOCH);
    record.tags = vec!["a".to_owned(), token.clone()];
    record.codebase = Some(token.clone());
    record.session = Some(token.clone());
    record.node_type.clone_from(&token);
    record.metadata =
        json!({"hosts": [{"password": "hunter2"}], "note": "hunter2", token.clone(): token.clone()});
    let found = find_in(&record);
    let mut fields: Vec<&str> = found.iter().map(|found| found.field.as_str()).collect();
    fields.sort_unstable();
    let expected = [
        "codebase",
        "metadata (a key)",
        "metadata.hosts[0].password",
        "metadata.…",
        "node_type",
        "session",
        "tags[1]",
    ];
    assert_eq!(fields, expected);
    assert!(found.iter().all(|found| !found.to_string().contains(&token)));
}

#[test]
fn an_edit_adds_what_was_not_there_before() {
    let [old, new] = ["x7Kq02LmVb9TzR4nWc81YpHs5JdGf3AoEuQi", "b2Wn81KsQp0ZtR6yLc94MdFh7XvGj5AoEiUk"]
        .map(|random| format!("{}{random}", "ghp_"));
    let record = |content: String| MemoryRecord::new_at(content, chrono::DateTime::UNIX_EPOCH);
    let before = record(format!("It is {old}."));
    assert_eq!(added(&before, &record(format!("Since May it is {old}."))), None);
    let found = added(&before, &record(format!("It was {old} and is {new}."))).expect("a new one");
    assert_eq!((found.field.as_str(), found.secret.start), ("content", 55));
}

#[test]
fn texts_made_to_be_slow_take_no_longer_than_others() {
    let parts = [
        "glpat-",
        "eyJaaaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----aA",
        "password for ",
        "://a:",
        "12345678:AA-",
        "AKIA",
    ];
    for part in parts {
        let text = part.repeat((1 << 18) / part.len());
        let began = std::time::Instant::now();
        let _ = find(&text);
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{part}: {:?}", began.elapsed());
    }
}
