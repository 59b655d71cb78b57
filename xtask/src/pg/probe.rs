//! Whether a PostgreSQL server accepts connections, asked in its own protocol without a driver.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Waits until the server at `address` is ready to authenticate a user.
///
/// An open port is not enough: a server that is starting takes the connection, and then refuses
/// it. `alive` is asked between the attempts, and its error ends the waiting.
///
/// # Errors
///
/// Where the server is not ready within `patience`, or `alive` fails.
pub fn wait_ready(
    address: SocketAddr,
    patience: Duration,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<()> {
    let end = Instant::now() + patience;
    loop {
        if asks_for_authentication(address).unwrap_or(false) {
            return Ok(());
        }
        alive()?;
        if Instant::now() > end {
            bail!("the server at {address} did not answer within {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port that nobody listens on now. Another program may take it before the caller does.
///
/// # Errors
///
/// Where the system has none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// A password that nobody guesses: the server may be reachable by other users of the machine.
#[must_use]
pub fn password() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // Each RandomState is keyed by the system's randomness.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// Sends a StartupMessage and reads the kind of the answer: `R` asks for authentication, `E` is an error.
/// <https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP>
fn asks_for_authentication(address: SocketAddr) -> std::io::Result<bool> {
    const PROTOCOL_3_0: u32 = 3 << 16;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let body = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + body.len()).map_err(std::io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend(PROTOCOL_3_0.to_be_bytes());
    message.extend(body);
    stream.write_all(&message)?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    Ok(kind == *b"R")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_that_says(kind: u8) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = [0; 8];
                stream.read_exact(&mut head).unwrap();
                stream.write_all(&[kind]).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_server_that_asks_for_a_password_is_ready() {
        wait_ready(server_that_says(b'R'), Duration::from_secs(5), || Ok(())).unwrap();
    }

    #[test]
    fn a_server_that_is_starting_is_not_ready() {
        let address = server_that_says(b'E');
        assert!(wait_ready(address, Duration::from_millis(100), || Ok(())).is_err());
    }

    #[test]
    fn waiting_ends_when_the_server_has_died() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
        let error = wait_ready(address, Duration::from_secs(60), || bail!("it died")).unwrap_err();
        assert_eq!(error.to_string(), "it died");
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(password(), password());
    }
}
