//! A TCP relay that stops after a number of bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How often a thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// What a relay does when its bytes are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Close every connection.
    Cut,
    /// Pass nothing on, and keep the connections.
    FallSilent,
}

/// A relay to a server. It ends with this.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    then: Then,
    /// How many bytes came in, in both directions together.
    bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Relay {
    /// # Errors
    ///
    /// Where no port is free.
    pub(super) fn start(server: &str, limit: u64, then: Then) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr()?;
        let shared = Shared { limit, then, bytes: AtomicU64::new(0), is_over: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let (server, of_listener) = (server.to_owned(), Arc::clone(&shared));
        thread::spawn(move || {
            for client in listener.incoming() {
                if of_listener.is_over.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    relay(client, &server, &of_listener);
                }
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes were passed on, or would have been.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes on what comes, each direction on a thread of its own. A server that cannot be reached is a cut.
fn relay(client: TcpStream, server: &str, shared: &Arc<Shared>) {
    if shared.is_used_up() && shared.then == Then::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server) else { return };
    let Ok((client_too, server_too)) = client.try_clone().and_then(|c| Ok((c, server.try_clone()?))) else {
        return;
    };
    for (from, to) in [(client, server), (server_too, client_too)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || pump(from, to, &shared));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 16 << 10];
    let _ = from.set_read_timeout(Some(LOOK));
    while !shared.is_over.load(Ordering::SeqCst) {
        if shared.is_used_up() {
            match shared.then {
                Then::Cut => break,
                // What comes is not even read.
                Then::FallSilent => {
                    thread::sleep(LOOK);
                    continue;
                }
            }
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        let passed_on = shared.take(count);
        if to.write_all(&buffer[..passed_on]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn is_used_up(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) >= self.limit
    }

    /// How many of these bytes are within the limit.
    fn take(&self, count: usize) -> usize {
        let before = self.bytes.fetch_add(count as u64, Ordering::SeqCst);
        usize::try_from(self.limit.saturating_sub(before)).map_or(count, |left| left.min(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        address
    }

    fn answer(relay: &Relay, question: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
        let mut stream = TcpStream::connect(relay.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        stream.write_all(question).unwrap();
        let mut answer = Vec::new();
        let ended = stream.take(question.len() as u64).read_to_end(&mut answer);
        (answer, ended.err().map(|error| error.kind()))
    }

    #[test]
    fn everything_is_passed_on_within_the_limit() {
        let relay = Relay::start(&echo(), u64::MAX, Then::Cut).unwrap();
        assert_eq!(answer(&relay, b"0123456789"), (b"0123456789".to_vec(), None));
        assert_eq!(relay.bytes(), 20);
    }

    #[test]
    fn a_relay_cuts_or_falls_silent_in_the_midst_of_an_answer() {
        let relay = Relay::start(&echo(), 14, Then::Cut).unwrap();
        let (said, ended) = answer(&relay, b"0123456789");
        assert_eq!(said, b"0123");
        assert!(ended.is_none_or(|kind| kind == ErrorKind::ConnectionReset), "{ended:?}");
        let relay = Relay::start(&echo(), 14, Then::FallSilent).unwrap();
        let (said, ended) = answer(&relay, b"0123456789");
        assert_eq!((said.as_slice(), ended), (&b"0123"[..], Some(ErrorKind::WouldBlock)));
    }
}
