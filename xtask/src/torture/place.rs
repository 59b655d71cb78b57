//! The command, and a folder in which it has a memory that nobody else uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use super::child::{self, Ended, Input, PATIENCE, Running, Until};
use super::databases::Database;
use crate::{process, project};

/// The program under attack.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// The folder in which each place has its own.
    folder: PathBuf,
}

impl Program {
    /// Builds the command with both backends; with `release` as its users get it.
    ///
    /// # Errors
    ///
    /// Where it does not compile.
    pub(super) fn build(release: bool) -> Result<Self> {
        let mut build = project::cargo();
        build.args(["build", "--quiet", "--locked", "--package=vestige-cli", "--bin=vestige"]);
        build.arg("--features=vestige-cli/postgres-backend").args(release.then_some("--release"));
        process::run_ok(build.env("SQLX_OFFLINE", "true"))?;
        let target = project::target_dir()?;
        let folder = target.join("torture").join(std::process::id().to_string());
        let profile = if release { "release" } else { "debug" };
        Ok(Self { path: target.join(profile).join("vestige"), folder })
    }

    /// A new and empty place; its memory is an SQLite file, or this database.
    ///
    /// # Errors
    ///
    /// Where its folder cannot be made.
    pub(super) fn place(&self, database: Option<Database>) -> Result<Place> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = self.folder.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Place { program: self.path.clone(), folder, database, is_kept: false })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The folders of places that are kept stay.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A folder with a memory.
#[derive(Debug)]
pub(super) struct Place {
    program: PathBuf,
    folder: PathBuf,
    database: Option<Database>,
    is_kept: bool,
}

impl Place {
    /// Waits until the server does nothing more for a client that was killed.
    ///
    /// # Errors
    ///
    /// Where that does not come about.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.database.as_mut().map_or(Ok(()), Database::wait_until_unused)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The SQLite file.
    pub(super) fn db(&self) -> PathBuf {
        self.path("memory.db")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Leaves the folder, so that somebody can look at it.
    pub(super) fn keep(&mut self) -> &Path {
        self.is_kept = true;
        &self.folder
    }

    /// The command, without anything from the environment of this process.
    pub(super) fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args.iter().map(AsRef::as_ref));
        self.surround(command)
    }

    /// A program that is given the command as its last arguments, in the same surroundings.
    pub(super) fn through(&self, program: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(&self.program).args(args);
        self.surround(command)
    }

    fn surround(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .current_dir(&self.folder);
        match &self.database {
            Some(database) => command.env("VESTIGE_POSTGRES_URL", database.url()),
            None => command.env("VESTIGE_DB", self.db()),
        };
        command
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub(super) fn run<S: AsRef<str>>(&self, args: &[S]) -> Result<Ended> {
        self.run_with(args, Input::Empty, Until::Overdue(PATIENCE))
    }

    /// Runs the command with this input, and kills it where that is due.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub(super) fn run_with<S: AsRef<str>>(&self, args: &[S], input: Input, until: Until) -> Result<Ended> {
        child::run(&mut self.command(args), input, until)
    }

    /// Starts the command.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub(super) fn start<S: AsRef<str>>(&self, args: &[S], input: Input) -> Result<Running> {
        Running::start(&mut self.command(args), input)
    }

    /// What a command prints that nothing stands in the way of.
    ///
    /// # Errors
    ///
    /// Where it fails all the same.
    pub(super) fn ok<S: AsRef<str>>(&self, args: &[S]) -> Result<String> {
        self.ok_with(args, Input::Empty)
    }

    /// The same with an input.
    ///
    /// # Errors
    ///
    /// Where it fails.
    pub(super) fn ok_with<S: AsRef<str>>(&self, args: &[S], input: Input) -> Result<String> {
        let ended = self.run_with(args, input, Until::Overdue(PATIENCE))?;
        if !ended.succeeded() {
            bail!("`{}` failed where nothing was in its way: {}", ended.what, ended.complaint());
        }
        Ok(ended.stdout)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
