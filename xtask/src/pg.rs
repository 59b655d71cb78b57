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
mod settings;
mod suite;
pub mod wheel;

pub use provider::{IMAGE, OptionalPostgresArgs, Provider, ProviderArgs, SMALL_DISK, ServerArgs, TAG};
pub use server::{Server, VARIABLES};
pub use settings::settings;
pub use suite::{TestPgArgs, test_pg};

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
