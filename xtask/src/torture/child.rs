//! Runs a command, and ends it where an attack says so.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::process;

/// How long a command may take. One that takes longer hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// What a command reads.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// Nothing.
    Empty,
    /// These bytes, and then the end.
    Bytes(Vec<u8>),
}

/// When a command is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// When it is overdue.
    Overdue(Duration),
    /// So long after its start.
    Kill(Duration),
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The command, without the folder of its program.
    pub(super) what: String,
    pub(super) status: ExitStatus,
    /// Whether the attack killed it, or it took too long.
    killed: Option<Until>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
}

impl Ended {
    pub(super) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Whether it was killed before it came to its end.
    pub(super) fn was_killed(&self) -> bool {
        self.killed.is_some()
    }

    /// What no command may do, whatever happens to it.
    pub(super) fn misbehaviour(&self) -> Option<String> {
        let signal = self.status.signal().filter(|_| !self.was_killed());
        let how = match (self.killed, signal, self.status.code()) {
            _ if self.stderr.contains("panicked at") => "panicked".to_owned(),
            (Some(Until::Overdue(patience)), ..) => format!("hung for {} s", patience.as_secs()),
            (_, Some(signal), _) => format!("ended by signal {signal}"),
            (_, _, Some(101)) => "ended with the exit code of a panic".to_owned(),
            _ => return None,
        };
        Some(format!("`{}` {how}: {}", self.what, self.complaint()))
    }

    /// The last of what it said on stderr, in one line.
    pub(super) fn complaint(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines.iter().rev().find(|line| line.contains("error") || line.contains("panicked"));
        last.or(lines.last()).unwrap_or(&"").chars().take(300).collect()
    }
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    what: String,
    child: Child,
    began: Instant,
    stdin: Option<JoinHandle<()>>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Running {
    /// # Errors
    ///
    /// Where the program cannot be started.
    pub(super) fn start(command: &mut Command, input: Input) -> Result<Self> {
        let what: String = process::show(command).chars().take(120).collect();
        command.stdin(if matches!(input, Input::Empty) { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {what}"))?;
        let stdin = child.stdin.take().map(|pipe| std::thread::spawn(move || feed(pipe, input)));
        let stdout = drain(child.stdout.take().context("a pipe is missing")?);
        let stderr = drain(child.stderr.take().context("a pipe is missing")?);
        Ok(Self { what, child, began: Instant::now(), stdin, stdout, stderr })
    }

    pub(super) fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Whether it ends by itself within this time.
    ///
    /// # Errors
    ///
    /// Where the system cannot tell.
    pub(super) fn ends_within(&mut self, time: Duration) -> Result<bool> {
        let deadline = Instant::now() + time;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline || process::caught_signal()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }

    /// Waits for its end, and brings it about where that is due, or where this process has to end.
    ///
    /// # Errors
    ///
    /// Where the system cannot tell.
    pub(super) fn wait(mut self, until: Until) -> Result<Ended> {
        let (Until::Overdue(due) | Until::Kill(due)) = until;
        let (status, killed) = loop {
            if let Some(status) = self.child.try_wait()? {
                break (status, None);
            }
            let left = due.saturating_sub(self.began.elapsed());
            if left.is_zero() || process::caught_signal()?.is_some() {
                // It may have ended just now: then it was not killed.
                self.child.kill().context("cannot kill a command")?;
                let status = self.child.wait()?;
                break (status, status.signal().is_some().then_some(until));
            }
            std::thread::sleep(left.min(Duration::from_millis(2)));
        };
        let took = self.began.elapsed();
        let [stdout, stderr] = [self.stdout, self.stderr]
            .map(|pipe| String::from_utf8_lossy(&pipe.join().unwrap_or_default()).into_owned());
        if let Some(stdin) = self.stdin.take() {
            drop(stdin.join());
        }
        Ok(Ended { what: self.what, status, killed, stdout, stderr, took })
    }
}

/// Runs a command to its end, or to that which the attack has for it.
///
/// # Errors
///
/// Where the program cannot be started.
pub(super) fn run(command: &mut Command, input: Input, until: Until) -> Result<Ended> {
    Running::start(command, input)?.wait(until)
}

/// A command that has ended does not read the rest, which is no failure.
fn feed(mut pipe: ChildStdin, input: Input) {
    if let Input::Bytes(bytes) = input {
        let _ = pipe.write_all(&bytes);
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before the pipe broke is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, until: Until) -> Ended {
        run(Command::new("sh").args(["-c", script]), Input::Empty, until).unwrap()
    }

    #[test]
    fn a_killed_command_is_told_from_one_that_ended() {
        let ended = shell("echo said; exec sleep 60", Until::Kill(Duration::from_millis(300)));
        assert!(ended.was_killed() && ended.misbehaviour().is_none(), "{ended:?}");
        assert_eq!(ended.stdout, "said\n");
        let ended = shell("exit 3", Until::Kill(PATIENCE));
        assert!(!ended.was_killed() && ended.misbehaviour().is_none(), "{ended:?}");
    }

    #[test]
    fn a_panic_a_crash_and_a_hanging_command_are_misbehaviour() {
        for (script, said) in [
            ("echo \"thread 'main' panicked at x.rs:1\" >&2; exit 1", "panicked"),
            ("exit 101", "exit code of a panic"),
            ("kill -SEGV $$", "signal 11"),
            ("exec sleep 60", "hung"),
        ] {
            let ended = shell(script, Until::Overdue(Duration::from_millis(500)));
            let misbehaviour = ended.misbehaviour().unwrap_or_default();
            assert!(misbehaviour.contains(said), "{script}: {misbehaviour}");
        }
    }
}
