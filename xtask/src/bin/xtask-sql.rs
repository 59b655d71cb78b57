//! Runs SQL for `cargo xtask torture`: each line of stdin is a statement, all in one session.
//!
//! Each is answered by a line: `ok`, a tab and the first value of the first row, or `error`, a tab and what
//! the server says.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, ValueRef};
use xtask::process;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    process::exit_code(
        runtime.context("cannot start a runtime").and_then(|runtime| runtime.block_on(serve())),
    )
}

async fn serve() -> Result<()> {
    // In an argument its password could be read by everybody.
    let url = std::env::var("XTASK_SQL_URL").context("XTASK_SQL_URL is not set")?;
    let options: PgConnectOptions = url.parse().context("XTASK_SQL_URL is no URL of PostgreSQL")?;
    let mut connection =
        options.disable_statement_logging().connect().await.context("cannot connect to PostgreSQL")?;
    let mut stdout = std::io::stdout();
    for statement in std::io::stdin().lock().lines() {
        let answer = match answer(&mut connection, statement?).await {
            Ok(value) => format!("ok\t{value}"),
            Err(error) => format!("error\t{error}"),
        };
        writeln!(stdout, "{}", answer.replace('\n', " "))?;
        stdout.flush()?;
    }
    connection.close().await?;
    Ok(())
}

async fn answer(connection: &mut PgConnection, statement: String) -> Result<String> {
    // By the simple protocol, in which every value is text. The statements come from xtask alone.
    let rows = sqlx::raw_sql(AssertSqlSafe(statement)).fetch_all(connection).await?;
    let Some(row) = rows.first().filter(|row| !row.is_empty()) else { return Ok(String::new()) };
    let value = row.try_get_raw(0)?;
    Ok(if value.is_null() { String::new() } else { value.as_str().unwrap_or_default().to_owned() })
}
