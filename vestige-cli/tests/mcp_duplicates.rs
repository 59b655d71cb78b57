//! How near restatements, corrections and other statements are to each other, which the threshold of
//! `remember` rests on. `--no-capture` shows the counts.

mod common;

use common::Vestige;
use common::mcp::Server;
use serde_json::{Value, json};

/// The same said twice.
const RESTATED: [(&str, &str); 16] = [
    ("Deploys are frozen on Fridays after noon.", "No deployments happen on Friday afternoons."),
    ("Deploys are frozen on Fridays after noon.", "deploys are frozen on fridays after noon"),
    ("The user prefers tabs over spaces.", "The user prefers tabs to spaces."),
    ("We use PostgreSQL 18 in production.", "Production runs on PostgreSQL 18."),
    ("The CI fails when Docker is not running.", "CI fails if Docker isn't running."),
    ("The CI fails when Docker is not running.", "If the Docker daemon is down, the CI pipeline breaks."),
    ("Authentication tokens expire after 15 minutes.", "Auth tokens expire after fifteen minutes."),
    ("The parser bug came from an off-by-one error.", "Root cause of the parser bug: an off-by-one error."),
    ("Ada is the maintainer of the billing service.", "The billing service is maintained by Ada."),
    ("Run `cargo xtask test` before every commit.", "Before each commit, run `cargo xtask test`."),
    ("The API rate limit is 100 requests per minute.", "API rate limit: 100 requests per minute."),
    ("The API rate limit is 100 requests per minute.", "Clients may make at most 100 API requests a minute."),
    (
        "Local storage is SQLite, since it needs no server.",
        "Decision: SQLite for local storage; it needs no server.",
    ),
    ("The staging database is refreshed every Sunday.", "Every Sunday the staging database is refreshed."),
    ("Alice works at Google.", "Alice is employed by Google."),
    ("Feature flags live in config/flags.yaml.", "The feature flags are in config/flags.yaml."),
];

/// What was so, and what is so now.
const CORRECTED: [(&str, &str); 12] = [
    ("Staging's database listens on port 5433.", "Staging's database listens on port 5434."),
    ("The user prefers tabs over spaces.", "The user prefers spaces over tabs."),
    ("Authentication tokens expire after 15 minutes.", "Authentication tokens expire after 60 minutes."),
    ("Ada is the maintainer of the billing service.", "Bob is the maintainer of the billing service."),
    ("The API rate limit is 100 requests per minute.", "The API rate limit is 500 requests per minute."),
    ("We use PostgreSQL 17 in production.", "We use PostgreSQL 18 in production."),
    ("Feature flags live in config/flags.yaml.", "Feature flags live in config/features.toml."),
    ("Deploys are frozen on Fridays after noon.", "Deploys are not frozen on Fridays after noon."),
    ("Deploys are frozen on Fridays after noon.", "Deploys are frozen on Thursdays after noon."),
    ("The release is planned for March 3.", "The release is planned for April 7."),
    ("Alice works at Google.", "Alice works at Meta."),
    ("The staging database is refreshed every Sunday.", "The staging database is refreshed every Monday."),
];

/// Two things in nearly the same words.
const OTHER: [(&str, &str); 18] = [
    ("The deploy script is scripts/deploy.sh.", "The release script is scripts/release.sh."),
    ("Test test_login fails on macOS.", "Test test_logout fails on macOS."),
    ("parse_date returns None for empty input.", "parse_time returns None for empty input."),
    ("PR #412 fixed the memory leak in the cache.", "PR #418 fixed the race in the cache."),
    ("The user service talks to Redis.", "The user service talks to Kafka."),
    ("The orders table has an index on customer_id.", "The orders table has an index on created_at."),
    ("Ada prefers dark mode.", "Bob prefers dark mode."),
    ("Ada's birthday is on May 4.", "Bob's birthday is on June 9."),
    ("The frontend uses React 19.", "The frontend uses Tailwind CSS."),
    ("Melanie went camping with her children.", "Melanie went to the museum with her children."),
    ("Caroline attended a support group.", "Caroline attended a pottery class."),
    ("Use `uv` to install Python packages.", "Use `pnpm` to install JavaScript packages."),
    ("The billing service listens on port 8080.", "The auth service listens on port 8081."),
    ("Bug: the exporter loses time zones.", "Bug: the importer loses time zones."),
    ("The build failed for want of openssl.", "The build failed for want of zlib."),
    ("Function `insert` is atomic.", "Function `update` is atomic."),
    ("Meeting of May 1: the budget is approved.", "Meeting of May 8: the hiring plan is approved."),
    ("Server eu-1 has 64 GB of RAM.", "Server us-2 has 128 GB of RAM."),
];

/// How many of the pairs are reported as near-duplicates, in calls of their own and in one call.
fn reported(server: &mut Server, name: &str, pairs: &[(&str, &str)]) -> usize {
    // Code bases keep the pairs apart.
    let of = |how: &str, at: usize, content: &str| json!({"content": content, "codebase": format!("{name} {how} {at}")});
    let firsts: Vec<Value> = pairs.iter().enumerate().map(|(at, pair)| of("apart", at, pair.0)).collect();
    let seconds: Vec<Value> = pairs.iter().enumerate().map(|(at, pair)| of("apart", at, pair.1)).collect();
    assert_eq!(server.ok("remember", &json!({"memories": firsts}))["stored"], pairs.len());
    let stored = server.ok("remember", &json!({"memories": seconds}))["stored"].as_u64().expect("a number");
    let apart = pairs.len() - usize::try_from(stored).expect("few");

    let both = |(at, pair): (usize, &(&str, &str))| [of("at once", at, pair.0), of("at once", at, pair.1)];
    let at_once: Vec<Value> = pairs.iter().enumerate().flat_map(both).collect();
    let stored = server.ok("remember", &json!({"memories": at_once}))["stored"].as_u64().expect("a number");
    assert_eq!(
        2 * pairs.len() - usize::try_from(stored).expect("few"),
        apart,
        "{name}: one call sees the same"
    );

    let forced = server.ok("remember", &json!({"memories": at_once, "force": true}));
    assert_eq!(forced["stored"], 2 * pairs.len(), "{name}");
    apart
}

#[expect(clippy::print_stderr, reason = "what was measured")]
fn measure(vestige: &Vestige, model: &str) -> (usize, usize, usize) {
    let mut server = Server::start(vestige);
    let restated = reported(&mut server, "restated", &RESTATED);
    let corrected = reported(&mut server, "corrected", &CORRECTED);
    let other = reported(&mut server, "other", &OTHER);
    eprintln!(
        "{model} reports {restated} of {} restatements, {corrected} of {} corrections, {other} of {} others",
        RESTATED.len(),
        CORRECTED.len(),
        OTHER.len()
    );
    (restated, corrected, other)
}

#[test]
fn the_bundled_model_reports_most_restatements_and_few_other_statements() {
    let (restated, corrected, other) = measure(&Vestige::new(), "the bundled model");
    assert!(restated >= 9 && corrected >= 7 && other <= 2, "{restated}, {corrected}, {other}");
}

#[cfg(feature = "fastembed")]
#[test]
fn minilm_reports_no_other_statement() {
    use std::path::{Path, PathBuf};

    let beside_tests = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("assets");
    let folder = std::env::var_os("VESTIGE_ASSETS").map_or_else(beside_tests, PathBuf::from);
    let default_runtime = || folder.join("onnxruntime/libonnxruntime.so.1.32.0");
    let runtime = std::env::var_os("ORT_DYLIB_PATH").map_or_else(default_runtime, PathBuf::from);
    let model = folder.join("all-MiniLM-L6-v2");
    if !runtime.is_file() || !model.join("model.onnx").is_file() {
        let reason = format!("no ONNX Runtime and MiniLM in {}: run `cargo xtask assets`", folder.display());
        assert!(std::env::var("VESTIGE_REQUIRE_ASSETS").as_deref() != Ok("1"), "{reason}");
        common::skip("near-duplicates by MiniLM", &reason);
        return;
    }
    let vestige = Vestige::new();
    vestige.configure(format!("[embeddings]\nmodel = {model:?}\nruntime = {runtime:?}\n"));
    let (restated, corrected, other) = measure(&vestige, "MiniLM");
    assert!(restated >= 6 && corrected >= 5 && other == 0, "{restated}, {corrected}, {other}");
}
