//! What every attack is given: the program, the stores, the time and the seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::databases::Databases;
use super::place::{Place, Program};
use super::random::Random;
use crate::process;

/// How often an attack is tried at least, however long that takes.
const LEAST_TRIES: u64 = 2;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Sqlite => Self::Postgres,
            Self::Postgres => Self::Sqlite,
        }
    }
}

/// A run of the attacks.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) program: Program,
    /// None where there is no server.
    pub(super) databases: Option<Arc<Databases>>,
    pub(super) seed: u64,
    /// The time of one row of the table.
    pub(super) time: Duration,
    /// Whether as little as possible is to be done.
    pub(super) is_short: bool,
}

impl Context {
    /// The stores that can be attacked here.
    pub(super) fn backends(&self) -> &'static [Backend] {
        match self.databases {
            Some(_) => &[Backend::Sqlite, Backend::Postgres],
            None => &[Backend::Sqlite],
        }
    }

    /// An empty place.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub(super) fn place(&self, backend: Backend) -> Result<Place> {
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(self.databases.as_ref().context("there is no server")?.create()?),
        };
        self.program.place(database)
    }

    pub(super) fn random(&self, attack: &str) -> Random {
        Random::new(self.seed, attack)
    }

    /// The time of an attack, which begins now.
    pub(super) fn clock(&self) -> Clock {
        Clock { until: Instant::now() + self.time, least: if self.is_short { 1 } else { LEAST_TRIES } }
    }

    /// All of them, or in the short form a few: with each seed others.
    pub(super) fn some_of<T: Copy>(&self, all: &[T], few: usize, attack: &str) -> Vec<T> {
        let mut some = all.to_vec();
        let mut random = self.random(attack);
        while self.is_short && some.len() > few {
            some.remove(random.below(some.len()));
        }
        some
    }
}

/// The time that is left for an attack.
#[derive(Debug)]
pub(super) struct Clock {
    until: Instant,
    least: u64,
}

impl Clock {
    /// Whether there is time for one more try.
    ///
    /// # Errors
    ///
    /// Where the handlers of signals cannot be installed.
    pub(super) fn goes_on(&self, tries: u64) -> Result<bool> {
        Ok(process::caught_signal()?.is_none() && (tries < self.least || Instant::now() < self.until))
    }
}
