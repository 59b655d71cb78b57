//! PgBouncer in transaction mode, in front of a server that tests use.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::wheel::{give_away, unprivileged};
use super::{Server, probe};
use crate::process;

const PATIENCE: Duration = Duration::from_secs(20);
/// So few that clients take turns on the server's processes.
const CONNECTIONS_OF_A_DATABASE: u32 = 4;

/// What this machine is missing for PgBouncer, if anything.
#[must_use]
pub fn lacks() -> Option<String> {
    program().is_none().then(|| "pgbouncer is not installed; Debian has a package of that name".to_owned())
}

/// A PgBouncer that ends with this value.
#[derive(Debug)]
pub struct Bouncer {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Bouncer {
    /// Starts PgBouncer in front of a server.
    ///
    /// # Errors
    ///
    /// Where it is not installed, or does not answer.
    pub fn start(server: &Server) -> Result<Self> {
        let program = program().with_context(|| lacks().unwrap_or_default())?;
        let folder = std::env::temp_dir().join(format!("vestige-pgbouncer-{}", probe::password()));
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // The password of a superuser goes in there.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        give_away(&folder)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, probe::free_port()?));
        let (settings, users) = (folder.join("pgbouncer.ini"), folder.join("userlist.txt"));
        let (settings_lines, user_line) = configuration(server.url(), address, &users)?;
        for (file, text) in [(&settings, settings_lines), (&users, user_line)] {
            fs::write(file, text)?;
            give_away(file)?;
        }
        let log = fs::File::create(folder.join("log"))?;
        let process = unprivileged(&program)
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run pgbouncer")?;
        let mut bouncer = Self { process, folder, address };
        bouncer.wait_ready()?;
        Ok(bouncer)
    }

    /// Host and port, as the tests want them.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait_ready(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(self.address).is_err() {
            let ended = self.process.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("pgbouncer does not answer: {}", log.trim_end().replace('\n', "; "));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // SIGTERM is its immediate shutdown; nobody is left to hear of an error.
        process::signal(self.process.id(), Signal::TERM);
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Debian keeps it where only root looks.
fn program() -> Option<PathBuf> {
    ["pgbouncer", "/usr/sbin/pgbouncer"]
        .into_iter()
        .find(|program| process::succeeds(Command::new(program).arg("--version")))
        .map(PathBuf::from)
}

/// The settings, and the list of users: every database of the server, for the tests' own user, who logs in as
/// the runbook has it.
fn configuration(url: &str, address: SocketAddr, users: &Path) -> Result<(String, String)> {
    let (_, rest) = url.split_once("://").context("the server's URL has no scheme")?;
    let (authority, _) = rest.split_once('/').context("the server's URL names no database")?;
    let (login, host) = authority.rsplit_once('@').context("the server's URL has no user")?;
    let (user, password) = login.split_once(':').context("the server's URL has no password")?;
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "5432"));
    let settings = format!(
        "[databases]\n\
         * = host={host} port={port}\n\
         [pgbouncer]\n\
         listen_addr = {}\n\
         listen_port = {}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         default_pool_size = {CONNECTIONS_OF_A_DATABASE}\n\
         max_client_conn = 1000\n\
         server_idle_timeout = 5\n",
        address.ip(),
        address.port(),
        users.display(),
    );
    Ok((settings, format!("\"{user}\" \"{password}\"\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_reached_as_its_url_says() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 6543));
        let users = Path::new("/folder/userlist.txt");
        let url = "postgres://me:s3cret@127.0.0.1:5433/postgres";
        let (settings, list) = configuration(url, address, users).unwrap();
        assert!(settings.contains("* = host=127.0.0.1 port=5433\n"), "{settings}");
        assert!(settings.contains("listen_port = 6543\n") && settings.contains("pool_mode = transaction\n"));
        assert!(settings.contains("auth_file = /folder/userlist.txt\n") && !settings.contains("s3cret"));
        assert_eq!(list, "\"me\" \"s3cret\"\n");
        assert!(configuration("postgres://127.0.0.1/postgres", address, users).is_err());
    }
}
