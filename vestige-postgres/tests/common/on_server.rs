//! The server's own programs, such as `pg_dump`, run on the server's machine: there they are of its version.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// What a script has written, errors too, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) succeeded: bool,
}

impl Ran {
    pub(crate) fn expect_success(self) -> String {
        assert!(self.succeeded, "{}", self.output);
        self.output
    }
}

/// Runs a shell script on the machine of the server at `url`, which is a superuser's. `psql`, `pg_dump` and
/// `pg_restore` are those of the server, and find it as that superuser. The script starts in an empty folder.
pub(crate) async fn run(url: &str, script: &str) -> Ran {
    let mut session = PgConnection::connect(url).await.unwrap();
    let (programs, port): (String, String) = sqlx::query_as(
        "SELECT (SELECT setting FROM pg_config() WHERE name = 'BINDIR'), current_setting('port')",
    )
    .fetch_one(&mut session)
    .await
    .unwrap();
    let options: PgConnectOptions = url.parse().unwrap();
    let script = format!(
        "export PATH='{programs}':$PATH PGHOST=127.0.0.1 PGPORT={port} PGUSER='{}' PGPASSWORD='{}'
         folder=$(mktemp -d)
         ( cd $folder; set -eu; {script}
         ) 2>&1
         echo \"exit $?\"
         rm -r $folder",
        options.get_username(),
        password(url),
    );
    // No character of the output is taken for more than itself.
    let read: String = sqlx::query_scalar(
        "SELECT format('COPY printed FROM PROGRAM %L (FORMAT csv, DELIMITER %L, QUOTE %L, NULL %L)',
           $1::text, chr(1), chr(2), chr(3))",
    )
    .bind(script)
    .fetch_one(&mut session)
    .await
    .unwrap();
    session.execute("CREATE TEMP TABLE printed (number serial, line text)").await.unwrap();
    let read = read.replace("COPY printed", "COPY printed (line)");
    session.execute(AssertSqlSafe(read)).await.unwrap();
    let mut lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM printed ORDER BY number").fetch_all(&mut session).await.unwrap();
    session.close().await.unwrap();
    let exit = lines.pop().unwrap();
    Ran { output: lines.join("\n"), succeeded: exit == "exit 0" }
}

fn password(url: &str) -> &str {
    let authority = url.split_once("://").unwrap().1.split('/').next().unwrap();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.split_once(':').map_or("", |(_, password)| password)
}
