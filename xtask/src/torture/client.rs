//! A client of `vestige mcp` that waits for each answer.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail};

use super::place::Place;
use super::snapshot::Text;
use super::victims::{conversation, remembered};

/// A server with one client.
#[derive(Debug)]
pub(super) struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    /// # Errors
    ///
    /// Where the server does not start.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let mut command = place.command(&["mcp"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot run `vestige mcp`")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut client = Self {
            child,
            stdin: stdin.context("a pipe is missing")?,
            stdout: BufReader::new(stdout.context("a pipe is missing")?),
        };
        client.stdin.write_all(&conversation(&[]))?;
        client.line()?;
        Ok(client)
    }

    /// Has a text remembered, and returns its id.
    ///
    /// # Errors
    ///
    /// Where it is not acknowledged.
    pub(super) fn remember(&mut self, text: &Text) -> Result<String> {
        let call = conversation(std::slice::from_ref(text));
        // The last line is the call.
        let call = call.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default().to_vec();
        self.stdin.write_all(&call)?;
        self.stdin.write_all(b"\n")?;
        let answer = self.line()?;
        let id = remembered(&answer).into_iter().next().map(|(_, id)| id);
        id.with_context(|| format!("`vestige mcp` did not remember: {answer}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("`vestige mcp` ended without an answer");
        }
        Ok(line)
    }

    /// Ends the server by SIGKILL.
    ///
    /// # Errors
    ///
    /// Where the system cannot.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // One that has ended is waited for all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
