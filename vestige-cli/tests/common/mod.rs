//! The command in a folder of its own.

#![allow(dead_code, reason = "each test program uses a part of it")]

#[cfg(feature = "postgres-backend")]
pub(crate) mod database;
pub(crate) mod mcp;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vestige");

/// A home folder, a working directory and a memory that nobody else uses.
pub(crate) struct Vestige {
    folder: TempDir,
    postgres: Option<String>,
}

impl Vestige {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), postgres: None }
    }

    /// The same with the memory in a PostgreSQL database.
    pub(crate) fn on_postgres(url: &str) -> Self {
        Self { postgres: Some(url.to_owned()), ..Self::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The memory that commands use where they name none.
    pub(crate) fn db(&self) -> PathBuf {
        self.path("memory.db")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file is written");
        path
    }

    /// Writes the `vestige.toml` of the working directory, and trusts it.
    pub(crate) fn configure(&self, text: impl AsRef<[u8]>) {
        self.write("vestige.toml", text);
        self.ok(&["trust"]);
    }

    /// The command without any environment of the machine's.
    pub(crate) fn command(&self) -> Command {
        self.command_of(PROGRAM)
    }

    /// Any program in the same surroundings.
    pub(crate) fn command_of(&self, program: &str) -> Command {
        self.prepare(Command::new(program))
    }

    /// A shell script in which `vestige` is the command.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("vestige() {{ '{PROGRAM}' \"$@\"; }}\n{script}"));
        self.prepare(shell)
    }

    fn prepare(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder())
            .current_dir(self.folder())
            .stdin(Stdio::null());
        match &self.postgres {
            Some(url) => command.env("VESTIGE_POSTGRES_URL", url),
            None => command.env("VESTIGE_DB", self.db()),
        };
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(args, self.command().args(args).output().expect("the command runs"))
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Run {
        let mut child = self.spawn(args, Stdio::piped());
        let mut pipe = child.stdin.take().expect("a pipe");
        let stdin = stdin.to_vec();
        // A thread, since the command may answer before it has read everything, or read nothing.
        let writer = std::thread::spawn(move || pipe.write_all(&stdin));
        let output = child.wait_with_output().expect("the command ends");
        let _ = writer.join().expect("the writer does not panic");
        Run::of(args, output)
    }

    pub(crate) fn spawn(&self, args: &[&str], stdin: Stdio) -> Child {
        let mut command = self.command();
        command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }

    /// Runs a command that has to succeed, and returns what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// The same with `--json`, read.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args = [&["--json"], args].concat();
        let stdout = self.ok(&args);
        serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{args:?} printed no JSON: {error}\n{stdout}"))
    }

    /// Adds a memory and returns its id.
    pub(crate) fn add(&self, args: &[&str]) -> String {
        self.ok(&[&["add"], args].concat()).trim().to_owned()
    }

    pub(crate) fn count(&self) -> u64 {
        self.json(&["stats"])["memories"].as_u64().expect("a number of memories")
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) args: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(args: &[&str], output: Output) -> Self {
        let run = Self {
            // A question may be a megabyte long.
            args: format!("{args:?}").chars().take(300).collect(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        };
        assert!(!run.stderr.contains("panicked"), "{} panicked: {}", run.args, run.stderr);
        run
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{} failed: {}", self.args, self.stderr);
        self.stdout
    }

    /// The one line in which it refused.
    #[track_caller]
    pub(crate) fn refusal(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}: {}{}", self.args, self.stdout, self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| !line.starts_with("note: ")).collect();
        assert_eq!(errors.len(), 1, "{} complains in other than one line: {}", self.args, self.stderr);
        errors[0].strip_prefix("error: ").unwrap_or_else(|| panic!("{} says {}", self.args, errors[0]))
    }

    /// [`refusal`](Self::refusal), and each of the words stands in it.
    #[track_caller]
    pub(crate) fn refuses(&self, code: i32, words: &[&str]) {
        let line = self.refusal(code);
        for word in words {
            assert!(line.contains(word), "{}: {line:?} does not say {word:?}", self.args);
        }
    }
}

/// The contents of the results of a search.
pub(crate) fn contents(results: &Value) -> Vec<&str> {
    let results = results.as_array().expect("an array");
    results.iter().map(|result| result["content"].as_str().expect("a content")).collect()
}

/// Says loudly that a test could not run here.
#[expect(clippy::print_stderr, reason = "a test that does not run has to be heard of")]
pub(crate) fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}
