//! How the command behaves as a program: help, usage, exit codes, pipes, signals, logs and configuration.

mod common;

use common::Vestige;

#[test]
fn completions_are_printed_for_every_shell() {
    let vestige = Vestige::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(vestige.ok(&["completions", shell]).contains("neighbors"), "{shell}");
    }
    assert_eq!(vestige.run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn every_command_has_help_and_examples_run() {
    let vestige = Vestige::new();
    let help = vestige.ok(&["--help"]);
    assert!(help.contains("vestige.toml") && help.contains("Exit code"), "{help}");
    for command in [
        "add",
        "import",
        "search",
        "get",
        "list",
        "update",
        "delete",
        "link",
        "unlink",
        "neighbors",
        "stats",
        "doctor",
        "export",
        "restore",
        "demo",
        "completions",
    ] {
        assert!(vestige.ok(&[command, "--help"]).contains("Usage:"), "{command}");
        assert!(help.contains(&format!("  {command} ")), "{command} is not listed");
    }
}

#[test]
fn wrong_usage_has_exit_code_2_and_help_has_0() {
    let vestige = Vestige::new();
    for args in [&[][..], &["forget"], &["search", "x", "--frobnicate"], &["get"]] {
        assert_eq!(vestige.run(args).code, Some(2), "{args:?}");
    }
    for args in [&["--version"][..], &["help", "search"], &["search", "-h"]] {
        assert_eq!(vestige.run(args).code, Some(0), "{args:?}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_sees_it() {
    let vestige = Vestige::new();
    vestige.add(&["one", "--meta", "k=1"]);
    for args in
        [&["search", "one", "--explain"][..], &["list"], &["stats"], &["doctor"], &["demo"], &["get", "ffff"]]
    {
        let run = vestige.run(args);
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn a_memory_cannot_take_over_the_terminal() {
    let vestige = Vestige::new();
    let id = vestige.add(&["evil \u{1b}[2J\u{7}\u{9b}1m \u{202e}txt", "--tag", "\u{1b}]0;x\u{7}"]);
    for args in [&["get", &id][..], &["list"], &["search", "evil", "--full"], &["search", "evil"]] {
        let text = vestige.ok(args);
        let unsafe_one = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(unsafe_one, None, "{args:?}: {text:?}");
    }
    assert_eq!(vestige.json(&["get", &id])[0]["content"], "evil \u{1b}[2J\u{7}\u{9b}1m \u{202e}txt");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let vestige = Vestige::new();
    let lines: String =
        (0..5000).map(|n| format!("{{\"content\": \"memory number {n} with some text\"}}\n")).collect();
    vestige.run_with_stdin(&["import", "-"], lines.as_bytes()).ok();
    for args in ["list --all", "list --all --json", "export -", "completions bash", "--help"] {
        let output = vestige.shell(&format!("vestige {args} | head -c 10; true")).output().expect("sh runs");
        assert!(output.stderr.is_empty(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let vestige = Vestige::new();
    vestige.add(&["one"]);
    for args in ["list", "search one --json", "export -", "completions bash"] {
        let output = vestige.shell(&format!("vestige {args} > /dev/full")).output().expect("sh runs");
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{args}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_ctrl_c_ends_a_command_that_waits_for_stdin() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let vestige = Vestige::new();
    let id = vestige.add(&["one"]);
    for args in [
        &["import", "-"][..],
        &["import", "-", "--dry-run"],
        &["add", "-"],
        &["search", "-"],
        &["update", &id, "--content", "-"],
        &["restore", "-"],
    ] {
        let mut child = vestige.spawn(args, Stdio::piped());
        // Stays open, so that nothing but the signal ends the command.
        let stdin = child.stdin.take();
        let deadline = Instant::now() + Duration::from_secs(60);
        let until = |what: &str, mut done: Box<dyn FnMut() -> bool + '_>| {
            while !done() {
                assert!(Instant::now() < deadline, "{args:?}: {what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let status = format!("/proc/{}/status", child.id());
        until(
            "never listened to SIGINT",
            Box::new(|| {
                let text = std::fs::read_to_string(&status).expect("it runs");
                let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
                u64::from_str_radix(caught.trim(), 16).expect("a mask") & 0b10 != 0
            }),
        );
        assert!(
            Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status()
                .expect("kill runs")
                .success()
        );
        until("Ctrl-C is not heard", Box::new(|| child.try_wait().expect("it is ours").is_some()));
        drop(stdin);
        let output = child.wait_with_output().expect("it ended");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{args:?}: {stderr}");
        assert!(stderr.contains("error: interrupted"), "{args:?}: {stderr}");
    }
    assert_eq!(vestige.count(), 1);
}

/// Starts a command and sends the signal once the command listens. It runs on while its stdin is open.
#[cfg(target_os = "linux")]
fn signalled(mut command: std::process::Command, signal: u32) -> (std::process::Child, impl Drop) {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let stdin = std::os::fd::OwnedFd::from(child.stdin.take().expect("a pipe"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let has = |name: &str, signal: u32| {
            let mask = status.lines().find_map(|line| line.strip_prefix(name)).expect("a mask");
            u64::from_str_radix(mask.trim(), 16).expect("a mask") & (1 << (signal - 1)) != 0
        };
        // What is ignored is not listened for; SIGTERM is, just before it.
        has("SigCgt:", signal) || (has("SigIgn:", signal) && has("SigCgt:", 15))
    };
    while !listens() {
        assert!(Instant::now() < deadline, "never listened to signal {signal}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    (child, stdin)
}

#[cfg(target_os = "linux")]
#[test]
fn sigterm_and_sighup_end_a_command_as_ctrl_c_does() {
    let vestige = Vestige::new();
    for (signal, code) in [(2, 130), (15, 143), (1, 129)] {
        let mut command = vestige.command();
        command.args(["import", "-"]);
        let (child, stdin) = signalled(command, signal);
        let output = child.wait_with_output().expect("it ends");
        drop(stdin);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains("error: interrupted"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_under_nohup_outlives_a_hangup() {
    let vestige = Vestige::new();
    let mut command = vestige.command_of("nohup");
    command.args([common::PROGRAM, "import", "-"]);
    let (child, stdin) = signalled(command, 1);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn vv_says_every_operation_and_no_content() {
    let vestige = Vestige::new();
    let run = vestige.run(&["add", "quite a secret", "--tag", "hidden", "-vv"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("register_model") && run.stderr.contains("insert"), "{}", run.stderr);
    assert!(!run.stderr.contains("secret") && !run.stderr.contains("hidden"), "{}", run.stderr);
    assert!(!vestige.run(&["search", "secret"]).stderr.contains("search"));
}

#[test]
fn an_empty_answer_says_why() {
    let vestige = Vestige::new();
    let said = |args: &[&str]| {
        let run = vestige.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{args:?}");
        run.stderr
    };
    assert!(said(&["list"]).contains("`vestige add` makes one"));
    vestige.add(&["one"]);
    assert_eq!(said(&["list", "--type", "other"]), "note: no memory passes the filters\n");
    assert_eq!(said(&["list", "-n", "0"]), "");
    assert_eq!(said(&["search", " "]), "note: the question is empty\n");
    assert!(said(&["search", "one", "--type", "other"]).contains("filters"));
    vestige.run(&["get", ""]).refuses(2, &["\"\" is no id"]);
}

#[test]
fn without_the_feature_postgres_is_refused_and_its_password_is_not_shown() {
    if cfg!(feature = "postgres-backend") {
        return;
    }
    let vestige = Vestige::new();
    let run = vestige.run(&["stats", "--postgres-url", "postgres://ada:s3cret@127.0.0.1:1/m"]);
    run.refuses(1, &["postgres-backend"]);
    assert!(!run.stderr.contains("s3cret"));
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_and_line() {
    let vestige = Vestige::new();
    vestige.configure("[storage]\n\npaht = \"x\"\n");
    vestige.run(&["stats"]).refuses(2, &["vestige.toml:3:", "unknown field `paht`"]);
    vestige.configure("[storage.sqlite]\npath = \"from-file.db\"\n");
    vestige.command().env_remove("VESTIGE_DB").args(["add", "one"]).output().expect("it runs");
    assert!(vestige.path("from-file.db").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn in_a_deleted_folder_everything_works_that_names_no_relative_path() {
    let vestige = Vestige::new();
    vestige.add(&["one"]);
    let gone = |command: &str| {
        let script = format!("mkdir gone && cd gone && rmdir ../gone && {command}");
        common::Run::of(&[command], vestige.shell(&script).output().expect("sh runs"))
    };
    assert!(gone("vestige list").ok().contains("one"));
    assert!(gone("vestige list --db \"$VESTIGE_DB\" --model bundled").ok().contains("one"));
    gone("vestige export \"$HOME/out.jsonl\"").ok();
    gone("vestige mcp < /dev/null").ok();
    for relative in ["--db other.db", "--model ./minilm", "--config vestige.toml"] {
        let run = gone(&format!("vestige list {relative}"));
        run.refuses(1, &["there is no working directory", "whole path"]);
    }
}

#[test]
fn a_folder_cannot_redirect_the_memory_before_it_is_trusted() {
    let vestige = Vestige::new();
    vestige.write(
        "vestige.toml",
        "[storage.sqlite]\npath = \"spy.db\"\n[embeddings]\nruntime = \"./evil.so\"\n",
    );
    let add = || {
        let output =
            vestige.command().env_remove("VESTIGE_DB").args(["add", "one"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = add();
    assert!(said.contains("storage.sqlite.path") && said.contains("vestige trust"), "{said}");
    assert!(!vestige.path("spy.db").exists());
    vestige.write("vestige.toml", "[storage.sqlite]\npath = \"mine.db\"\n");
    assert!(vestige.ok(&["trust"]).contains("mine.db"));
    assert!(!add().contains("does not count"));
    assert!(vestige.path("mine.db").exists());
    vestige.ok(&["trust", "--revoke"]);
    assert!(add().contains("does not count"));
    vestige.run(&["trust", "nowhere"]).refuses(1, &["nowhere"]);
}
