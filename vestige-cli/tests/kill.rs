//! `kill -9` at random moments of an import: nothing that was reported is lost, and nothing comes twice.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use common::Vestige;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const KILLS: usize = 50;
const LINES: usize = 3000;
const BATCH: usize = 25;

/// Lines of which every third has an id of its own.
fn lines() -> String {
    let line = |n: usize| match n % 3 {
        0 => format!("{{\"content\": \"memory number {n}\", \"id\": \"aaaaaaaa-0000-7000-8000-{n:012}\"}}\n"),
        _ => format!("{{\"content\": \"memory number {n}\", \"metadata\": {{\"n\": {n}}}}}\n"),
    };
    (0..LINES).map(line).collect()
}

/// How many memories the log says are stored by this run.
fn reported(log: &str) -> u64 {
    let last = log.lines().rev().find_map(|line| line.split_once("stored="));
    last.map_or(0, |(_, rest)| {
        rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    })
}

#[test]
fn an_import_that_is_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let vestige = Vestige::new();
    let file = vestige.write("m.jsonl", lines());
    let file = file.to_str().expect("UTF-8");
    let args = ["import", file, "--batch-size", &BATCH.to_string(), "-v"];

    let seed: u64 = rand::rng().random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut in_the_middle = 0;
    for kill in 0..KILLS {
        let context = format!("seed {seed}, kill {kill}");
        // Every few kills a new store, so that young ones and old ones are hit.
        let db = format!("store-{}.db", kill / 5);
        let db_args = [&args[..], &["--db", &db]].concat();
        let mut child = vestige.spawn(&db_args, Stdio::null());
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        // The moment is counted in batches, so that it lies within the import on any machine.
        let batches = random.random_range(0..LINES / BATCH);
        let mut said: Vec<String> = Vec::new();
        while said.iter().filter(|line| line.contains("stored=")).count() < batches {
            let Some(line) = log.next() else { break };
            said.push(line);
        }
        std::thread::sleep(random.random_range(Duration::ZERO..Duration::from_millis(5)));
        child.kill().expect("it can be killed");
        said.extend(log);
        child.wait().expect("it ended");
        let reported = reported(&said.join("\n"));

        if !vestige.path(&db).exists() {
            assert_eq!(reported, 0, "{context}");
            continue;
        }
        let doctor = vestige.run(&["doctor", "--db", &db]);
        assert_eq!(doctor.code, Some(0), "{context}: {}", doctor.stdout);
        let count = vestige.json(&["stats", "--db", &db])["memories"].as_u64().expect("a number");
        assert!(count >= reported, "{context}: {reported} were reported and {count} are there");
        // A batch is one transaction: it is there whole or not at all.
        assert_eq!(count % BATCH as u64, 0, "{context}: {count} memories are no number of whole batches");
        in_the_middle += usize::from(count > 0 && count < LINES as u64);

        if kill % 5 == 4 {
            let end = vestige.json(&[&args[..4], &["--db", &db]].concat());
            assert_eq!(end["conflicts"], 0, "{context}");
            let stored = end["stored"].as_u64().zip(end["unchanged"].as_u64()).expect("numbers");
            assert_eq!(stored.1, count, "{context}: what was there was stored again");
            assert_eq!(stored.0 + stored.1, LINES as u64, "{context}");
            let all = vestige.json(&["list", "--all", "--db", &db]);
            let contents: std::collections::HashSet<&str> = common::contents(&all).into_iter().collect();
            assert_eq!((contents.len(), all.as_array().map(Vec::len)), (LINES, Some(LINES)), "{context}");
            let doctor = vestige.run(&["doctor", "--db", &db]);
            assert_eq!(doctor.code, Some(0), "{context}: {}", doctor.stdout);
        }
    }
    assert!(in_the_middle > KILLS / 10, "only {in_the_middle} of {KILLS} kills hit an import in its middle");
}
