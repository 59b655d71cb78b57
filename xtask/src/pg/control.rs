//! `pg-control`: how tests of failure kill, stop and start the server that a guard owns.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

/// The arguments of `pg-control`.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// Where the guard listens.
    guard: SocketAddr,
    /// What to do to the server.
    verb: Verb,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    /// End every process of the server by SIGKILL.
    Kill,
    /// Shut the server down cleanly.
    Stop,
    /// Start it again and wait until it answers.
    Start,
}

/// Sends a guard one command and waits until it is done.
///
/// # Errors
///
/// Where no guard listens there, or the guard could not do it.
pub fn run(args: &ControlArgs) -> Result<()> {
    let verb: &[u8] = match args.verb {
        Verb::Kill => b"kill\n",
        Verb::Stop => b"stop\n",
        Verb::Start => b"start\n",
    };
    let mut stream = TcpStream::connect(args.guard)
        .with_context(|| format!("no server's guard listens at {}", args.guard))?;
    stream.write_all(verb)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.trim() {
        "ok" => Ok(()),
        "" => bail!("the guard ended without an answer"),
        error => bail!("{error}"),
    }
}
