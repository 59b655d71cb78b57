//! The command on PostgreSQL. Needs the server that `VESTIGE_TEST_PG_URL` names (`cargo xtask test-pg`).

#![cfg(feature = "postgres-backend")]

mod common;

use std::process::Stdio;
use std::time::Duration;

use common::database::Database;
use common::{Vestige, contents};
use serde_json::json;

const MEMORIES: &str = include_str!("../demo/memories.jsonl");

#[test]
fn every_command_works_on_postgres() {
    let Some(database) = Database::new("every_command_works_on_postgres") else { return };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.write("m.jsonl", MEMORIES);
    assert_eq!(vestige.json(&["import", "m.jsonl"])["stored"], 324);
    assert_eq!(vestige.json(&["import", "m.jsonl"])["unchanged"], 324);

    let id =
        vestige.add(&["The kitten was treated for an ear infection.", "--tag", "pets", "--codebase", "home"]);
    assert_eq!(
        contents(&vestige.json(&["search", "kitten", "-n1"])),
        ["The kitten was treated for an ear infection."]
    );
    let by_meaning = vestige.json(&["search", "sick cat", "--mode", "vector", "--codebase", "home"]);
    assert_eq!(contents(&by_meaning), ["The kitten was treated for an ear infection."]);
    assert_eq!(vestige.json(&["search", "kitten", "--mode", "keyword", "--tag", "none"]), json!([]));
    assert!(vestige.ok(&["search", "kitten", "--explain"]).contains("fusion"));

    let other = "019bb17c-0e40-7978-a6a1-2a42c7957ab5";
    vestige.ok(&["link", &id, "019bb17c", "--weight", "0.5"]);
    assert_eq!(vestige.json(&["neighbors", &id])[0]["id"], other);
    vestige.ok(&["update", &id, "--content", "The puppy is well again.", "--add-tag", "dog"]);
    let memory = vestige.json(&["get", &id]);
    assert_eq!(
        (&memory[0]["content"], &memory[0]["tags"]),
        (&json!("The puppy is well again."), &json!(["pets", "dog"]))
    );
    vestige.ok(&["unlink", &id, other]);
    assert_eq!(vestige.json(&["list", "--all"]).as_array().map(Vec::len), Some(325));
    vestige.ok(&["delete", &id]);
    vestige.run(&["get", &id]).refuses(1, &["does not exist"]);
    let stats = vestige.json(&["stats"]);
    assert_eq!((&stats["memories"], &stats["backend"]), (&json!(324), &json!("postgres")));
    vestige.ok(&["doctor"]);
    vestige.ok(&["doctor", "--repair"]);
}

#[test]
fn an_archive_is_the_same_from_both_backends() {
    let Some(database) = Database::new("an_archive_is_the_same_from_both_backends") else { return };
    let sqlite = Vestige::new();
    sqlite.write("m.jsonl", MEMORIES);
    sqlite.ok(&["import", "m.jsonl"]);
    sqlite.ok(&["link", "019bb17c", "019bb182"]);
    sqlite.ok(&["export", "sqlite.jsonl"]);

    let postgres = Vestige::on_postgres(&database.url);
    let archive = sqlite.path("sqlite.jsonl");
    postgres.ok(&["restore", archive.to_str().expect("UTF-8")]);
    let exported = postgres.ok(&["export", "-"]);
    assert!(exported == std::fs::read_to_string(archive).expect("the archive"), "the archives differ");
}

#[test]
fn a_killed_import_loses_nothing_and_repeats_nothing_on_postgres() {
    let Some(database) = Database::new("a_killed_import_loses_nothing_and_repeats_nothing_on_postgres")
    else {
        return;
    };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.ok(&["stats"]);
    let lines: String = (0..3000).map(|n| format!("{{\"content\": \"memory number {n}\"}}\n")).collect();
    vestige.write("m.jsonl", lines);
    for milliseconds in [100, 200, 300, 400, 600] {
        let mut child = vestige.spawn(&["import", "m.jsonl", "--batch-size", "25"], Stdio::null());
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().expect("it can be killed");
        child.wait().expect("it ended");
        // The server ends a transaction whose client is gone, in its own time.
        let count = vestige.count();
        assert_eq!(count % 25, 0, "{count} memories are no number of whole batches");
    }
    let end = vestige.json(&["import", "m.jsonl"]);
    assert_eq!(end["conflicts"], 0);
    assert_eq!(vestige.count(), 3000);
    vestige.ok(&["doctor"]);
}

/// Lines with words that the model knows, so that each has a vector.
fn many_lines(count: usize) -> String {
    (0..count).map(|n| format!("{{\"content\": \"the harbour at dusk, note {n}\"}}\n")).collect()
}

#[test]
fn a_large_import_builds_the_vector_index_at_its_end_and_a_small_one_leaves_it() {
    let Some(database) =
        Database::new("a_large_import_builds_the_vector_index_at_its_end_and_a_small_one_leaves_it")
    else {
        return;
    };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.write("m.jsonl", many_lines(1300));
    // The log of operations says what was done.
    let taken_down = |args: &[&str]| {
        let run = vestige.run(&[args, &["-vv"]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        (run.stderr.contains("postgres.begin_bulk_load"), run.stderr.contains("postgres.finish_bulk_load"))
    };
    assert_eq!(taken_down(&["import", "m.jsonl", "--batch-size", "100"]), (true, true));
    assert_eq!(taken_down(&["import", "m.jsonl", "--batch-size", "100"]), (false, false), "nothing is new");
    vestige.write("few.jsonl", "{\"content\": \"one more\"}\n");
    assert_eq!(taken_down(&["import", "few.jsonl"]), (false, false));
    vestige.ok(&["doctor"]);
}

#[test]
fn a_role_that_does_not_own_the_tables_imports_row_by_row() {
    let Some(database) = Database::new("a_role_that_does_not_own_the_tables_imports_row_by_row") else {
        return;
    };
    Vestige::on_postgres(&database.url).ok(&["add", "the first, by the owner"]);
    let (_, address) = database.url.rsplit_once('@').or(database.url.split_once("://")).expect("a URL");
    let role = address.rsplit_once('/').map_or("", |(_, name)| name.split('?').next().unwrap_or(name));
    database.admin_here(format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'p4ssw0rd';
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let vestige = Vestige::on_postgres(&format!("postgres://{role}:p4ssw0rd@{address}"));
    vestige.write("m.jsonl", many_lines(1300));
    assert_eq!(vestige.json(&["import", "m.jsonl", "--batch-size", "100"])["stored"], 1300);
    let stats = vestige.json(&["stats"]);
    assert_eq!(stats["embedded"], 1301);
    database.admin_here(format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn an_import_that_dies_while_the_vector_index_is_down_is_mended_by_the_next() {
    let Some(database) =
        Database::new("an_import_that_dies_while_the_vector_index_is_down_is_mended_by_the_next")
    else {
        return;
    };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.write("m.jsonl", many_lines(1500));
    let die = || {
        let mut child = vestige.spawn(&["import", "-", "--batch-size", "100"], Stdio::piped());
        // The end of the input does not come, and so neither does that of the import.
        let mut pipe = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut pipe, many_lines(1500).as_bytes()).expect("it reads");
        while vestige.count() < 1500 {
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ended");
    };
    die();
    let doctor = vestige.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("repeat the import"), "{}", doctor.stdout);
    let found = vestige.json(&["search", "the harbour at dusk, note 7", "--mode", "vector", "-n", "3"]);
    assert_eq!(contents(&found).len(), 3);
    assert_eq!(vestige.json(&["import", "m.jsonl"])["unchanged"], 1500);
    vestige.ok(&["doctor"]);

    database.admin_here("DROP INDEX idx_knowledge_nodes_embedding_hnsw");
    vestige.run(&["doctor"]).code.filter(|&code| code == 1).expect("it is missing");
    vestige.ok(&["doctor", "--repair"]);
}

#[test]
fn an_import_that_stops_at_a_bad_line_builds_what_it_took_down() {
    let Some(database) = Database::new("an_import_that_stops_at_a_bad_line_builds_what_it_took_down") else {
        return;
    };
    let vestige = Vestige::on_postgres(&database.url);
    let mut child = vestige.spawn(&["import", "-", "--batch-size", "100"], Stdio::piped());
    let lines = many_lines(1500) + "no JSON\n" + &many_lines(1);
    let mut pipe = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut pipe, lines.as_bytes()).expect("it reads");
    drop(pipe);
    assert_eq!(child.wait().expect("it ended").code(), Some(1));
    assert_eq!(vestige.count(), 1500);
    vestige.ok(&["doctor"]);
}

#[test]
fn only_commands_that_may_make_a_store_make_one_and_say_so() {
    let Some(database) = Database::new("only_commands_that_may_make_a_store_make_one_and_say_so") else {
        return;
    };
    database.admin_here("CREATE TABLE orders (id bigint)");
    let vestige = Vestige::on_postgres(&database.url);
    let id = "019bb17c-0e40-7978-a6a1-2a42c7957ab5";
    for args in [
        &["get", id][..],
        &["update", id, "--content", "x"],
        &["delete", id],
        &["link", id, "019bb17d-0e40-7978-a6a1-2a42c7957ab5"],
        &["neighbors", id],
        &["review", id, "good"],
        &["migrate", "--reembed", "--yes"],
        &["export", "-"],
    ] {
        vestige.run(args).refuses(1, &["there is no store in postgres://", "`vestige add`"]);
    }
    for args in [&["doctor"][..], &["doctor", "--repair"]] {
        let doctor = vestige.run(args);
        assert!(doctor.stdout.contains("there is no store in postgres://"), "{}", doctor.stdout);
    }
    database.admin_here("DO $$BEGIN ASSERT to_regclass('knowledge_nodes') IS NULL; END$$");
    let made = vestige.run(&["stats"]);
    assert!(
        made.code == Some(0) && made.stderr.contains("note: made a new memory in postgres://"),
        "{made:?}"
    );
    let again = vestige.run(&["add", "beside the orders of others"]);
    assert!(again.code == Some(0) && again.stderr.is_empty(), "{again:?}");
}

#[test]
fn each_cause_is_said_once_and_in_the_servers_own_words() {
    let Some(database) = Database::new("each_cause_is_said_once_and_in_the_servers_own_words") else {
        return;
    };
    let once = |run: common::Run, words: &str| {
        let line = run.refusal(1);
        assert_eq!(line.matches(words).count(), 1, "{line}");
        assert!(!line.contains("error returned from") && !line.contains("at line"), "{line}");
    };
    let missing = Vestige::on_postgres(&database.url.replace("vestige_cli_", "vestige_none_"));
    once(missing.run(&["stats"]), "\" does not exist)");
    let vestige = Vestige::on_postgres(&database.url);
    vestige.ok(&["stats"]);
    for (code, words) in
        [("42501", "permission denied"), ("XX001", "a broken page"), ("P0001", "no more today")]
    {
        database.admin_here(format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '{code}'; END$$;
             CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON knowledge_nodes FOR EACH ROW EXECUTE FUNCTION refuse()"
        ));
        once(vestige.run(&["add", "x"]), words);
    }
}

#[test]
fn a_slow_statement_is_no_warning_of_a_command_that_succeeds() {
    let Some(database) = Database::new("a_slow_statement_is_no_warning_of_a_command_that_succeeds") else {
        return;
    };
    let vestige = Vestige::on_postgres(&database.url);
    vestige.ok(&["stats"]);
    database.admin_here(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(1.1); RETURN new; END$$;
         CREATE TRIGGER wait BEFORE INSERT ON knowledge_nodes FOR EACH ROW EXECUTE FUNCTION wait()",
    );
    let run = vestige.run(&["add", "said without a word about SQL"]);
    assert!(run.code == Some(0) && run.stderr.is_empty(), "{}", run.stderr);
    let run = vestige.run(&["add", "-v", "said with it"]);
    assert!(run.stderr.contains("slow statement"), "{}", run.stderr);
}

#[test]
fn a_text_without_a_known_word_is_no_finding_of_the_doctor_on_either_backend() {
    let Some(database) =
        Database::new("a_text_without_a_known_word_is_no_finding_of_the_doctor_on_either_backend")
    else {
        return;
    };
    for vestige in [Vestige::new(), Vestige::on_postgres(&database.url)] {
        vestige.add(&["the harbour at dusk"]);
        vestige.add(&["\u{1f701}\u{1f702}"]);
        assert_eq!(vestige.json(&["stats"])["embedded"], 1, "the model knows the one and not the other");
        let doctor = vestige.ok(&["doctor"]);
        assert!(!doctor.contains("embed the store") && !doctor.contains("warning vectors"), "{doctor}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_one_line_without_the_password() {
    let Some(database) = Database::new("a_server_that_cannot_be_reached_is_one_line_without_the_password")
    else {
        return;
    };
    let address = database.url.split_once("://").map_or("", |(_, rest)| rest);
    let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
    let missing = format!("postgres://nobody:s3cret@{address}");
    for url in
        ["postgres://ada:s3cret@127.0.0.1:1/memory", "postgres://ada:s3cret@no-such-host.invalid/m", &missing]
    {
        let vestige = Vestige::on_postgres(url);
        for args in [&["stats"][..], &["add", "x"], &["doctor"], &["search", "x", "-vvv"]] {
            let run = vestige.run(args);
            assert_eq!(run.code, Some(1), "{url} {args:?}: {}", run.stderr);
            assert!(
                !run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"),
                "{}{}",
                run.stdout,
                run.stderr
            );
            if args.len() < 3 && args[0] != "doctor" {
                run.refusal(1);
            }
        }
    }
    let vestige = Vestige::on_postgres("not a url with s3cret");
    let run = vestige.run(&["stats"]);
    assert!(!run.refusal(1).contains("s3cret"), "{}", run.stderr);
}

#[test]
fn the_configuration_file_names_the_database() {
    let Some(database) = Database::new("the_configuration_file_names_the_database") else { return };
    let vestige = Vestige::new();
    let text = format!(
        "[storage]\nbackend = \"postgres\"\n[storage.postgres]\nurl = {:?}\nmax_connections = 2\n",
        database.url
    );
    vestige.configure(text);
    let output =
        vestige.command().env_remove("VESTIGE_DB").args(["stats", "--json"]).output().expect("it runs");
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(stats["backend"], "postgres", "{}", String::from_utf8_lossy(&output.stderr));
}
