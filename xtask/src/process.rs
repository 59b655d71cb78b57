//! Running other programs: signals passed on, exit codes kept.

use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How long a signalled child has before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a child has to act on the terminal's own SIGINT before it gets another from here.
const TERMINAL_GRACE: Duration = Duration::from_secs(2);

/// A failure that already said all there is to say: only the exit code is left.
#[derive(Debug)]
pub struct Quiet(pub u8);

impl std::fmt::Display for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Quiet {}

/// The exit code of a command, its error printed unless it is [`Quiet`].
#[allow(clippy::print_stderr, reason = "this is a command-line program")]
pub fn exit_code(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Quiet>() {
            Some(Quiet(code)) => ExitCode::from(*code),
            None => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The last of SIGINT, SIGTERM and SIGHUP that came in, kept instead of ending the process.
///
/// # Errors
///
/// Where the handlers cannot be installed.
pub fn caught_signal() -> Result<Option<i32>> {
    static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
    if CAUGHT.get().is_none() {
        let flag = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_usize(signal, Arc::clone(&flag), signal as usize)
                .context("cannot install a signal handler")?;
        }
        // A second thread that came first has handlers on another flag: nobody calls this twice at once.
        let _ = CAUGHT.set(flag);
    }
    let signal = CAUGHT.get().map_or(0, |flag| flag.load(Ordering::SeqCst));
    Ok(i32::try_from(signal).ok().filter(|&signal| signal != 0))
}

/// Runs a command to its end and passes SIGINT, SIGTERM and SIGHUP on to it.
///
/// # Errors
///
/// [`Quiet`] with 128 + the signal where one came in, and an error where the program cannot be started.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    if let Some(signal) = caught_signal()? {
        return Err(signalled(signal).into());
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {}", show(command)))?;
    let mut passed_on = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return match caught_signal()? {
                Some(signal) => Err(signalled(signal).into()),
                None => Ok(status),
            };
        }
        if let Some(signal) = caught_signal()? {
            passed_on.get_or_insert_with(PassedOn::new).advance(&mut child, signal)?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command and fails, naming it, where it does not succeed.
///
/// # Errors
///
/// As [`run`], and where the exit code is not 0.
pub fn run_ok(command: &mut Command) -> Result<()> {
    let status = run(command)?;
    if !status.success() {
        bail!("{} failed: {status}", show(command));
    }
    Ok(())
}

/// The standard output of a command that succeeds.
///
/// # Errors
///
/// Where it cannot be run, fails, or prints no UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", show(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            show(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", show(command)))
}

/// Whether a program runs and exits with 0; its output is dropped.
#[must_use]
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|out| out.status.success())
}

/// A command as one would type it: the program without its folder.
#[must_use]
pub fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Sends a signal to a process. One that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // ESRCH: it has ended, which is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

fn signalled(signal: i32) -> Quiet {
    Quiet(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// A signal on its way to a child that should end.
///
/// Ctrl-C reaches the child from the terminal too, and test runners take a second SIGINT for
/// "at once": so an interrupt is passed on only where the child lingers.
struct PassedOn {
    since: Instant,
    sent: bool,
}

impl PassedOn {
    fn new() -> Self {
        Self { since: Instant::now(), sent: false }
    }

    fn advance(&mut self, child: &mut Child, caught: i32) -> Result<()> {
        let (passed, grace) =
            if caught == SIGINT { (Signal::INT, TERMINAL_GRACE) } else { (Signal::TERM, Duration::ZERO) };
        let waited = self.since.elapsed();
        if !self.sent && waited >= grace {
            self.sent = true;
            signal(child.id(), passed);
        } else if waited > grace + PATIENCE {
            child.kill().context("cannot kill a child that does not end")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let error = run_ok(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("sh -c exit 3 failed"), "{error}");
    }

    #[test]
    fn output_carries_what_a_failing_command_said() {
        let error = output(Command::new("sh").args(["-c", "echo sorry >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("sorry"), "{error}");
    }

    #[test]
    fn a_missing_program_does_not_succeed() {
        assert!(!succeeds(&mut Command::new("no-such-program-here")));
    }
}
