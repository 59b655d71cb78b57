//! The flags that every command has.

use std::path::PathBuf;

use clap::{ArgAction, Args};

#[derive(Args, Debug)]
pub(crate) struct GlobalArgs {
    /// The SQLite file of the memory [env: VESTIGE_DB]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "postgres_url", help_heading = GLOBAL)]
    pub(crate) db: Option<PathBuf>,

    /// The PostgreSQL database of the memory [env: VESTIGE_POSTGRES_URL]
    ///
    /// Other users of the machine can read a command's arguments: put a password into the environment
    /// or into vestige.toml.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = GLOBAL,
        hide = cfg!(not(feature = "postgres-backend"))
    )]
    pub(crate) postgres_url: Option<String>,

    /// The configuration file [env: VESTIGE_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,

    /// The embedding model: `bundled`, the name of a fastembed model, or a folder [env: VESTIGE_MODEL]
    #[arg(long, global = true, value_name = "MODEL", help_heading = GLOBAL)]
    pub(crate) model: Option<String>,

    /// How long a command waits for its store, and `mcp` for each call; 0 for ever [env: VESTIGE_TIMEOUT]
    /// [default: 60]
    ///
    /// What works through a whole memory or file is not bounded: import, export, restore, migrate, doctor,
    /// demo.
    #[arg(long, global = true, value_name = "SECONDS", help_heading = GLOBAL)]
    pub(crate) timeout: Option<u32>,

    /// Print JSON, for other programs
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    /// Log to stderr what is done; give it twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub(crate) verbose: u8,
}

const GLOBAL: &str = "Global options";
