//! The process that owns a server.
//!
//! A command that needs PostgreSQL starts a guard with a pipe as its standard input. The guard
//! starts the server, prints one line that says where it is, and serves [`control`](super::control)
//! until the pipe ends. Then it removes the server. The system closes the pipe when the command
//! ends in whatever way, SIGKILL included, so that no server outlives its command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// A PostgreSQL server that its guard can break and mend.
pub trait Server {
    /// The URL of a superuser; the same after every start.
    fn url(&self) -> String;

    /// Ends every process of the server by SIGKILL and keeps the data.
    ///
    /// # Errors
    ///
    /// Where the processes cannot be ended.
    fn kill(&mut self) -> Result<()>;

    /// Shuts the server down cleanly, connections cut, and keeps the data.
    ///
    /// # Errors
    ///
    /// Where it does not end.
    fn stop(&mut self) -> Result<()>;

    /// Starts the server on the data it has, and returns when it answers. Nothing where it runs.
    ///
    /// # Errors
    ///
    /// Where it does not come up.
    fn start(&mut self) -> Result<()>;

    /// Ends the server and deletes its data.
    ///
    /// # Errors
    ///
    /// Where something of it would be left behind.
    fn remove(&mut self) -> Result<()>;
}

/// The line that a guard prints when its server answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Ready {
    /// The URL of a superuser.
    pub url: String,
    /// Where the guard listens for commands.
    pub control: SocketAddr,
}

impl Ready {
    /// Reads the line; `None` where a guard ended without one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("ready"), Some(url), Some(control)) => {
                Some(Self { url: url.to_owned(), control: control.parse().ok()? })
            }
            _ => None,
        }
    }

    fn line(&self) -> String {
        format!("ready {} {}\n", self.url, self.control)
    }
}

enum Event {
    Command(String, TcpStream),
    End,
}

/// Guards a server that answers, until standard input ends or SIGTERM comes.
///
/// # Errors
///
/// Where the server could not be removed, or the guard could not listen.
pub fn serve(mut server: impl Server) -> Result<()> {
    let served = listen(&mut server);
    let removed = server.remove();
    served.and(removed)
}

fn listen(server: &mut impl Server) -> Result<()> {
    process::caught_signal()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for commands")?;
    let ready = Ready { url: server.url(), control: listener.local_addr()? };
    let mut stdout = std::io::stdout();
    stdout.write_all(ready.line().as_bytes())?;
    stdout.flush()?;

    let (events, inbox) = channel();
    let end = events.clone();
    std::thread::spawn(move || {
        // Nothing is ever written there: it only ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = end.send(Event::End);
    });
    std::thread::spawn(move || accept(&listener, &events));
    loop {
        match inbox.recv_timeout(Duration::from_millis(200)) {
            Ok(Event::Command(verb, stream)) => reply(stream, obey(server, &verb)),
            Ok(Event::End) => return Ok(()),
            Err(_) if process::caught_signal()?.is_some() => return Ok(()),
            Err(_) => {}
        }
    }
}

fn accept(listener: &TcpListener, events: &Sender<Event>) {
    for stream in listener.incoming().flatten() {
        // A caller that says nothing must not keep the next one waiting for ever.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut verb = String::new();
        let mut reader = BufReader::new(stream);
        if reader.read_line(&mut verb).is_ok()
            && events.send(Event::Command(verb.trim().to_owned(), reader.into_inner())).is_err()
        {
            return;
        }
    }
}

fn obey(server: &mut impl Server, verb: &str) -> Result<()> {
    match verb {
        "kill" => server.kill(),
        "stop" => server.stop(),
        "start" => server.start(),
        other => bail!("{other:?} is no command: kill, stop or start"),
    }
}

fn reply(mut stream: TcpStream, done: Result<()>) {
    let line = match done {
        Ok(()) => "ok\n".to_owned(),
        Err(error) => format!("{}\n", format!("{error:#}").replace('\n', "; ")),
    };
    // A caller that went away needs no answer.
    let _ = stream.write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder(Vec<&'static str>);

    impl Server for Recorder {
        fn url(&self) -> String {
            "postgres://u:p@127.0.0.1:1/postgres".to_owned()
        }
        fn kill(&mut self) -> Result<()> {
            self.0.push("kill");
            Ok(())
        }
        fn stop(&mut self) -> Result<()> {
            self.0.push("stop");
            Ok(())
        }
        fn start(&mut self) -> Result<()> {
            bail!("the port is taken")
        }
        fn remove(&mut self) -> Result<()> {
            self.0.push("remove");
            Ok(())
        }
    }

    #[test]
    fn the_ready_line_reads_back() {
        let ready = Ready {
            url: "postgres://u:p@127.0.0.1:1/postgres".to_owned(),
            control: SocketAddr::from((Ipv4Addr::LOCALHOST, 7)),
        };
        assert_eq!(Ready::parse(&ready.line()), Some(ready));
        assert_eq!(Ready::parse(""), None);
    }

    #[test]
    fn verbs_reach_the_server_and_others_are_refused() {
        let mut server = Recorder::default();
        obey(&mut server, "kill").unwrap();
        obey(&mut server, "stop").unwrap();
        assert_eq!(server.0, ["kill", "stop"]);
        assert!(obey(&mut server, "start").unwrap_err().to_string().contains("taken"));
        assert!(obey(&mut server, "reboot").unwrap_err().to_string().contains("reboot"));
    }
}
