//! A running server, seen from the command that needs it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::guard;
use super::provider::{Provider, ProviderArgs, SMALL_DISK, ServerArgs, URL_VARIABLE};
use crate::{process, project};

/// Set to 1, a test that finds no server fails.
const REQUIRE_VARIABLE: &str = "VESTIGE_REQUIRE_PG";
/// A shell command that kills, stops and starts the server.
const CONTROL_VARIABLE: &str = "VESTIGE_TEST_PG_CONTROL";

/// A folder on the server, open to all, on a file system that is soon full.
const SMALL_DISK_VARIABLE: &str = "VESTIGE_TEST_PG_SMALL_DISK";

/// What tests find a server by.
pub const VARIABLES: [&str; 4] = [URL_VARIABLE, REQUIRE_VARIABLE, CONTROL_VARIABLE, SMALL_DISK_VARIABLE];

/// A server to test against. A server that this process started ends with it.
#[derive(Debug)]
pub struct Server {
    url: String,
    guarded: Option<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    /// Its standard input is the leash: at its end, however that comes about, the guard stops the server.
    guard: Child,
    control: String,
    small_disk: bool,
}

impl Server {
    /// Starts a server whose times mean something, if one is wanted and can be had; says why there is none,
    /// and so which measurements are left out.
    ///
    /// # Errors
    ///
    /// Where the server does not start.
    pub fn to_measure(what: &str, server: ProviderArgs, unwanted: bool) -> Result<Option<Self>> {
        if unwanted {
            return Ok(None);
        }
        match server.provider.resolve() {
            Ok(provider) => Self::start(&ServerArgs::new(provider, true)).map(Some),
            Err(lack) => {
                note(&format!("{what} left out: {lack:#}"));
                Ok(None)
            }
        }
    }

    /// Starts a server by the provider asked for, or takes the one at `VESTIGE_TEST_PG_URL`.
    ///
    /// # Errors
    ///
    /// Where the provider is missing something, or the server does not come up.
    pub fn start(args: &ServerArgs) -> Result<Self> {
        let provider = args.server.provider.resolve()?;
        let mut guard = match provider {
            Provider::Url => return Self::from_environment(),
            Provider::Docker => docker_guard()?,
            Provider::Wheel | Provider::Auto => wheel_guard()?,
        };
        if args.fsync {
            guard.arg("--fsync");
        }
        let began = Instant::now();
        let server = Self::guarded(&mut guard, provider == Provider::Docker)?;
        note(&format!("PostgreSQL by {provider}: up in {:.1} s", began.elapsed().as_secs_f64()));
        Ok(server)
    }

    /// The URL of a superuser, with its password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What commands that use the server find in their environment.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![(URL_VARIABLE, self.url.clone()), (REQUIRE_VARIABLE, "1".to_owned())];
        if let Some(guarded) = &self.guarded {
            env.push((CONTROL_VARIABLE, guarded.control.clone()));
            if guarded.small_disk {
                env.push((SMALL_DISK_VARIABLE, SMALL_DISK.to_owned()));
            }
        }
        env
    }

    /// Whether the guard has ended by itself.
    ///
    /// # Errors
    ///
    /// Where the system cannot tell.
    pub fn has_gone(&mut self) -> Result<bool> {
        match &mut self.guarded {
            Some(guarded) => Ok(guarded.guard.try_wait()?.is_some()),
            None => Ok(false),
        }
    }

    /// Stops the server and waits until it is gone, its data with it. A server given by its URL is left
    /// alone.
    ///
    /// # Errors
    ///
    /// Where the guard could not clean up.
    pub fn stop(mut self) -> Result<()> {
        match self.guarded.take() {
            Some(guarded) => guarded.release(),
            None => Ok(()),
        }
    }

    fn from_environment() -> Result<Self> {
        let url =
            std::env::var(URL_VARIABLE).with_context(|| format!("the provider url wants {URL_VARIABLE}"))?;
        Ok(Self { url, guarded: None })
    }

    fn guarded(command: &mut Command, small_disk: bool) -> Result<Self> {
        // A process group of its own: Ctrl-C is for the command, and the guard ends when that has.
        let mut guard = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", process::show(command)))?;
        let stdout = guard.stdout.take().context("the guard has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(ready) = guard::Ready::parse(&line) else {
            drop(guard.stdin.take());
            guard.wait()?;
            // The guard has said on stderr what is wrong.
            bail!("PostgreSQL did not start");
        };
        let xtask = std::env::current_exe().context("cannot tell where xtask is")?;
        let control =
            format!("'{}' pg-control {}", xtask.display().to_string().replace('\'', r"'\''"), ready.control);
        Ok(Self { url: ready.url, guarded: Some(Guarded { guard, control, small_disk }) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(guarded) = self.guarded.take()
            && let Err(error) = guarded.release()
        {
            note(&format!("{error:#}"));
        }
    }
}

impl Guarded {
    fn release(mut self) -> Result<()> {
        drop(self.guard.stdin.take());
        let status = self.guard.wait().context("cannot wait for the guard")?;
        if !status.success() {
            bail!("the guard of PostgreSQL failed to clean up: {status}");
        }
        Ok(())
    }
}

fn wheel_guard() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot tell where xtask is")?);
    command.arg("pg-guard");
    Ok(command)
}

/// The guard that talks to Docker, built when it is first wanted.
fn docker_guard() -> Result<Command> {
    let guard = project::target_dir()?.join("debug/xtask-docker");
    if !guard.exists() {
        note("building what talks to Docker: a minute or two, this once");
    }
    let mut build = project::cargo();
    build.args(["build", "--quiet", "--package=xtask", "--features=docker", "--bin=xtask-docker"]);
    process::run_ok(&mut build)?;
    Ok(Command::new(guard))
}

#[allow(clippy::print_stderr, reason = "this is a command-line program")]
fn note(line: &str) {
    eprintln!("{line}");
}
