//! PostgreSQL 18 with pgvector for tests, and the commands that want one.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{self, Quiet};

pub mod bouncer;
pub mod control;
pub mod guard;
pub mod probe;
mod provider;
mod server;
mod suite;
pub mod wheel;

pub use provider::{IMAGE, Provider, SMALL_DISK, TAG};
pub use server::{Server, VARIABLES};
pub use suite::{TestPgArgs, test_pg};

/// Which server, and how it runs.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Where PostgreSQL comes from.
    #[arg(long, value_enum, default_value_t)]
    pub provider: Provider,
    /// Let the server wait for the disk: slower, and only needed where the machine itself may lose power.
    #[arg(long)]
    pub fsync: bool,
}

/// The arguments of `cargo xtask with-pg`.
#[derive(Debug, Args)]
pub struct WithPgArgs {
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The command, after `--`.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// The settings of every server that is started here, as arguments of `postgres`.
#[must_use]
pub fn settings(fsync: bool) -> Vec<&'static str> {
    let mut settings = vec!["-c", "max_connections=300", "-c", "maintenance_work_mem=256MB"];
    if !fsync {
        // SIGKILL of the server loses nothing by this: the system still has the pages.
        settings.extend(["-c", "fsync=off", "-c", "full_page_writes=off"]);
    } else {
        // A server to measure: 100,000 memories take 400 MB, and 128 would be the default.
        settings.extend(["-c", "shared_buffers=1GB"]);
    }
    settings
}

/// `cargo xtask pg`: a server until Ctrl-C.
///
/// # Errors
///
/// Where no server can be started, or it goes away by itself.
#[allow(clippy::print_stdout, reason = "the URL is this command's result")]
pub fn hold_open(args: &ServerArgs) -> Result<()> {
    // Before the server starts: a signal that comes early must not be lost.
    process::caught_signal()?;
    let mut server = Server::start(args)?;
    println!("{}", server.url());
    for (name, value) in server.env() {
        eprint_env(name, &value);
    }
    while process::caught_signal()?.is_none() {
        if server.has_gone()? {
            bail!("the server ended by itself");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop()
}

/// `cargo xtask with-pg`: a server while a command runs.
///
/// # Errors
///
/// Where no server can be started; [`Quiet`] with the command's exit code where that is not 0.
pub fn with_pg(args: &WithPgArgs) -> Result<()> {
    process::caught_signal()?;
    let server = Server::start(&args.server)?;
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).envs(server.env());
    let ended = process::run(&mut command);
    server.stop()?;
    let status = ended?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Err(Quiet(code.unwrap_or(1)).into())
}

#[allow(clippy::print_stderr, reason = "this is a command-line program")]
fn eprint_env(name: &str, value: &str) {
    eprintln!("export {name}='{}'", value.replace('\'', r"'\''"));
}
