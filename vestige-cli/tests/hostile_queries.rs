//! Every text is a question: it is answered, or refused in one line.

mod common;

use common::Vestige;
use serde_json::Value;
use vestige_conformance::hostile::HOSTILE_QUERIES;

fn filled() -> Vestige {
    let vestige = Vestige::new();
    let lines: String =
        (0..50).map(|n| format!("{{\"content\": \"table lamp {n} AND NEAR drop users\"}}\n")).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    vestige
}

#[test]
fn every_hostile_query_is_answered() {
    let vestige = filled();
    assert!(HOSTILE_QUERIES.len() >= 200, "the list has {} queries", HOSTILE_QUERIES.len());
    for query in HOSTILE_QUERIES {
        // Not every one can be an argument; all of them can be piped in.
        let run = vestige.run_with_stdin(&["search", "-", "--json"], query.as_bytes());
        assert_eq!(run.code, Some(0), "{query:?}: {}", run.stderr);
        let results: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert!(results.is_array(), "{query:?}");
    }
    assert_eq!(vestige.count(), 50, "a query changed the memory");
}

#[test]
fn a_query_as_an_argument_is_never_taken_for_anything_else() {
    let vestige = filled();
    for query in
        ["'; DROP TABLE knowledge_nodes; --", "\" OR 1=1", "--", "-x", "$(reboot)", "%n%s", "../../etc", "*"]
    {
        let run = vestige.run(&["search", "--json", "--", query]);
        assert_eq!(run.code, Some(0), "{query:?}: {}", run.stderr);
    }
    assert_eq!(vestige.count(), 50);
}

#[test]
fn ten_megabytes_are_refused_in_one_line_and_a_hundred_thousand_characters_are_answered() {
    let vestige = filled();
    for unit in ["x", "a ", "\"", "-a ", "é", "😀", "lamp ", "\u{301}", "(", "\0"] {
        let query = unit.repeat((10 << 20) / unit.len());
        vestige
            .run_with_stdin(&["search", "-"], query.as_bytes())
            .refuses(1, &["the question", "must be at most 1048576"]);
        let query: String = unit.chars().cycle().take(100_000).collect();
        let run = vestige.run_with_stdin(&["search", "-", "--json"], query.as_bytes());
        assert_eq!(run.code, Some(0), "{unit:?}: {}", run.stderr);
    }
    vestige
        .run_with_stdin(&["search", "-"], &vec![b'x'; 65 << 20])
        .refuses(1, &["stdin", "longer than 64 MiB"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_in_one_line() {
    let vestige = filled();
    // Latin-1, a lone surrogate in WTF-8, an overlong slash, a lone continuation, UTF-16.
    for bytes in [&b"caf\xe9"[..], b"a\xed\xa0\x80b", b"\xc0\xaf", b"\x80", b"\xff\xfel\0a\0"] {
        vestige.run_with_stdin(&["search", "-"], bytes).refuses(1, &["stdin", "UTF-8"]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let argument = std::ffi::OsStr::from_bytes(b"caf\xe9");
        let output = vestige.command().arg("search").arg(argument).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_hostile_name_is_only_a_name() {
    let vestige = filled();
    for name in ["' OR '1'='1", "\"; --", "%", "*", "\u{202e}", "a\nb", "\\", "[\"x\"]"] {
        for flag in ["--tag", "--type", "--codebase", "--session", "--domain"] {
            let run = vestige.run(&["search", "lamp", "--json", flag, name]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(0), "[]\n"), "{flag} {name:?}: {}", run.stderr);
        }
    }
    let long = "x".repeat(1025);
    vestige.run(&["search", "lamp", "--tag", &long]).refuses(2, &["--tag", "1024"]);
    assert_eq!(vestige.run(&["search", "lamp", "--tag", ""]).code, Some(2));
}
