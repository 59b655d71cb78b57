//! A server that is too old is refused. Debian keeps several versions beside each other; the oldest here is
//! taken.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use vestige_postgres::PgMemoryStore;
use vestige_traits::MemoryStoreError;

/// Who runs the server where these tests are root's, which `postgres` refuses to be: nobody.
const UNPRIVILEGED: u32 = 65_534;

struct OldServer {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl OldServer {
    fn start(programs: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let is_root = folder.path().metadata().unwrap().uid() == 0;
        if is_root {
            chown(folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        }
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if is_root {
                command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
            }
            command
        };
        let data = folder.path().join("data");
        let made = program("initdb")
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb fails");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p"])
            .arg(port.to_string())
            .spawn()
            .unwrap();
        Self { process, url: format!("postgres://postgres@127.0.0.1:{port}/postgres"), _folder: folder }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn old_programs() -> Option<PathBuf> {
    (14..18)
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .find(|programs| programs.join("initdb").exists())
}

#[tokio::test]
async fn an_old_server_is_refused_in_one_line_and_left_as_it_was() {
    let Some(programs) = old_programs() else {
        eprintln!("SKIPPED: no PostgreSQL 14 to 17 in /usr/lib/postgresql");
        return;
    };
    let server = OldServer::start(&programs);
    let mut refused = PgMemoryStore::connect(&server.url, 1).await.map(drop);
    for _ in 0..600 {
        match &refused {
            // It is still starting.
            Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => break,
        }
        refused = PgMemoryStore::connect(&server.url, 1).await.map(drop);
    }
    let error = refused.expect_err("too old");
    assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
    let line = error.to_string();
    assert!(line.contains("Vestige needs 18 or later") && !line.contains('\n'), "{line}");
    let reader = PgMemoryStore::builder(server.url.as_str()).read_only(true).connect().await;
    let error = reader.expect_err("nothing was made there");
    assert!(error.to_string().contains("holds no Vestige store"), "{error}");
}
