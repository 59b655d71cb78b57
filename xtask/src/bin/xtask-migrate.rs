//! Makes an empty database with the schema of `vestige-postgres`, for `cargo xtask sqlx-prepare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use xtask::process;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a database of this name and migrate it.
    Create {
        /// A superuser's URL.
        url: PgConnectOptions,
        /// The database.
        name: String,
        /// The folder of the migrations.
        migrations: PathBuf,
    },
    /// Drop the database, connections to it cut.
    Drop {
        /// A superuser's URL.
        url: PgConnectOptions,
        /// The database.
        name: String,
    },
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    process::exit_code(
        runtime
            .context("cannot start a runtime")
            .and_then(|runtime| runtime.block_on(run(Cli::parse().command))),
    )
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Create { url, name, migrations } => {
            let migrator = Migrator::new(migrations.as_path())
                .await
                .with_context(|| format!("cannot read the migrations in {}", migrations.display()))?;
            execute(&url, format!("CREATE DATABASE {name}")).await?;
            let mut connection = url.database(&name).connect().await?;
            migrator.run(&mut connection).await.context("the migrations fail")?;
            connection.close().await?;
        }
        Command::Drop { url, name } => {
            execute(&url, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
    }
    Ok(())
}

async fn execute(url: &PgConnectOptions, statement: String) -> Result<()> {
    let mut connection = url.connect().await.context("cannot connect to PostgreSQL")?;
    // The name comes from xtask alone.
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await?;
    Ok(())
}
