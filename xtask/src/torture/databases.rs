//! Databases on the server, one for each place.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pg::Server;
use crate::{process, project};

/// The server that holds the databases.
#[derive(Debug)]
pub(super) struct Databases {
    tool: PathBuf,
    url: String,
}

impl Databases {
    /// # Errors
    ///
    /// Where `xtask-sql` cannot be built.
    pub(super) fn on(server: &Server) -> Result<Arc<Self>> {
        let mut build = project::cargo();
        build.args(["build", "--quiet", "--locked", "--package=xtask", "--features=sql", "--bin=xtask-sql"]);
        process::run_ok(&mut build)?;
        let tool = project::target_dir()?.join("debug/xtask-sql");
        Ok(Arc::new(Self { tool, url: server.url().to_owned() }))
    }

    /// Makes an empty database.
    ///
    /// # Errors
    ///
    /// Where the server refuses.
    pub(super) fn create(self: &Arc<Self>) -> Result<Database> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vestige_torture_{}_{number}", std::process::id());
        let mut session = self.session(&self.url)?;
        session.run(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))?;
        let url = with_database(&self.url, &name)?;
        Ok(Database { server: Arc::clone(self), session, name, url })
    }

    fn session(&self, url: &str) -> Result<Session> {
        let mut child = Command::new(&self.tool)
            .env("XTASK_SQL_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run xtask-sql")?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("xtask-sql has no output")?);
        Ok(Session { child, stdin, stdout })
    }
}

/// A database. It is dropped with this.
#[derive(Debug)]
pub(super) struct Database {
    server: Arc<Databases>,
    /// A session of a superuser in another database.
    session: Session,
    name: String,
    url: String,
}

impl Database {
    /// Where a superuser finds it.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A session in it.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached.
    pub(super) fn session(&self) -> Result<Session> {
        self.server.session(&self.url)
    }

    /// Waits until nobody is connected: a commit whose client was killed may still be under way.
    ///
    /// # Errors
    ///
    /// Where somebody stays.
    pub(super) fn wait_until_unused(&mut self) -> Result<()> {
        let question = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", self.name);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.session.run(&question)? != "0" {
            if Instant::now() > deadline {
                bail!("the server still works for a client that was killed 30 s ago");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is gone has no databases.
        let _ = self.session.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// A session that runs one statement after the other.
#[derive(Debug)]
pub(super) struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Runs a statement, and returns the first value of its first row, empty where there is none.
    ///
    /// # Errors
    ///
    /// Where the server refuses it, or cannot be reached.
    pub(super) fn run(&mut self, statement: &str) -> Result<String> {
        let stdin = self.stdin.as_mut().context("the session is closed")?;
        writeln!(stdin, "{statement}").context("xtask-sql has ended")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        match line.trim_end_matches('\n').split_once('\t') {
            Some(("ok", value)) => Ok(value.to_owned()),
            Some((_, error)) => bail!("{statement}: {error}"),
            None => bail!("xtask-sql has ended"),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The URL with another database.
pub(super) fn with_database(url: &str, name: &str) -> Result<String> {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").context("the URL of the server has no scheme")?;
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://a:b@h:1/postgres", "postgres://a:b@h:1/x"),
            ("postgres://a@h", "postgres://a@h/x"),
            ("postgres:///postgres?host=/tmp&port=1", "postgres:///x?host=/tmp&port=1"),
        ] {
            assert_eq!(with_database(url, "x").unwrap(), expected);
        }
    }
}
