//! `kill -9` of the commands that bring a whole store to another place: export, restore, migrate, re-embed.
//!
//! Each goes on where it was killed. At its end the archive of what it made is that of what it came from,
//! byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::child::{self, Ended, Input, PATIENCE, Until};
use super::context::{Backend, Context};
use super::place::Place;
use super::random::Random;
use super::scene::{Scene, findings};
use super::snapshot::Snapshot;
use super::tally::Tally;

const MEMORIES: u64 = 300;
/// How often one copy is killed at most before it may come to its end.
const KILLS: u32 = 4;
/// How many of them the short form attacks.
const SHORT_FORM_COPIES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Export,
    Restore,
    Migrate,
    Reembed,
}

impl Move {
    fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Restore => "restore",
            Self::Migrate => "migrate",
            Self::Reembed => "migrate --reembed",
        }
    }
}

/// Each of them, to each store.
///
/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    const MOVES: [Move; 4] = [Move::Export, Move::Restore, Move::Migrate, Move::Reembed];
    let everywhere = context.backends().iter().flat_map(|&backend| MOVES.map(|copy| (backend, copy)));
    let possible = everywhere.filter(|(_, copy)| *copy != Move::Migrate || context.databases.is_some());
    let attacked = context.some_of(&possible.collect::<Vec<_>>(), SHORT_FORM_COPIES, "copies");
    attacked.into_iter().map(|(backend, copy)| kill(context, backend, copy)).collect()
}

/// Where the rows come from.
struct Source {
    scene: Scene,
    /// What is to be there in the end.
    archive: String,
    /// The same memories by another model, for a re-embedding.
    foreign: String,
}

impl Source {
    fn make(context: &Context, backend: Backend, copy: Move, random: Random) -> Result<Self> {
        let from = match copy {
            Move::Export => backend,
            Move::Restore | Move::Reembed => Backend::Sqlite,
            Move::Migrate => backend.other(),
        };
        let mut scene = Scene::filled(context, from, random, MEMORIES)?;
        for _ in 0..4 {
            let (one, other) = (scene.any()?.0, scene.any()?.0);
            scene.place.ok(&["review", &one, "good"])?;
            if one != other {
                scene.place.ok(&["link", &one, &other])?;
            }
        }
        let archive = scene.place.ok(&["export", "-"])?;
        let foreign = match copy {
            Move::Reembed => of_another_model(&scene.place, &archive)?,
            _ => String::new(),
        };
        Ok(Self { scene, archive, foreign })
    }

    /// An empty place, or what has to be there before.
    fn target(&self, context: &Context, backend: Backend, copy: Move) -> Result<Place> {
        let target = context.place(backend)?;
        fs::write(target.path("archive.jsonl"), &self.archive)?;
        if copy == Move::Reembed {
            target.ok_with(&["restore", "-"], Input::Bytes(self.foreign.clone().into_bytes()))?;
        }
        Ok(target)
    }

    fn run(&self, copy: Move, target: &Place, until: Until) -> Result<Ended> {
        let mut command = match copy {
            Move::Export => self.scene.place.command(&["export", "archive.jsonl"]),
            Move::Restore => target.command(&["restore", "archive.jsonl"]),
            Move::Reembed => target.command(&["migrate", "--reembed", "--yes", "--batch-size", "20"]),
            Move::Migrate => {
                let (file, server, from, to) = match target.database() {
                    Some(_) => (&self.scene.place, target, "sqlite", "postgres"),
                    None => (target, &self.scene.place, "postgres", "sqlite"),
                };
                let file = file.db().display().to_string();
                let args =
                    ["migrate", "--from", from, "--to", to, "--batch-size", "25", "--sqlite-path", &file];
                server.command(&args)
            }
        };
        child::run(&mut command, Input::Empty, until)
    }
}

fn kill(context: &Context, backend: Backend, copy: Move) -> Result<Tally> {
    let attack = format!("kill -9: {}", copy.name());
    let mut tally = Tally::new(&attack, backend.name());
    let mut random = context.random(&format!("{attack} {}", backend.name()));
    let mut source = Source::make(context, backend, copy, random.fork())?;
    let mut span = None;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.is_clean() {
        if copy == Move::Export {
            span = Some(killed_exports(&mut source, span, &mut random, &mut tally)?);
            continue;
        }
        let mut target = source.target(context, backend, copy)?;
        // The first is not killed: it says how long one takes.
        let kills = if span.is_some() { KILLS } else { 0 };
        for _ in 0..kills {
            let moment = random.moment(span.unwrap_or_default());
            let ended = source.run(copy, &target, Until::Kill(moment))?;
            tally.tries += 1;
            target.settle()?;
            half_way(&source, &target, &ended, &mut tally)?;
            if !ended.was_killed() {
                break;
            }
        }
        let ended = source.run(copy, &target, Until::Overdue(PATIENCE))?;
        span.get_or_insert(ended.took);
        if !ended.succeeded() {
            tally.blame(format!("`{}` does not come to its end: {}", ended.what, ended.complaint()));
        }
        at_the_end(&source, &mut target, &mut tally)?;
    }
    Ok(tally)
}

/// What is there already is what the source has, whatever is missing.
fn half_way(source: &Source, target: &Place, ended: &Ended, tally: &mut Tally) -> Result<()> {
    let export = target.run(&["export", "-"])?;
    for ended in [ended, &export, &target.run(&["doctor"])?] {
        if let Some(misbehaviour) = ended.misbehaviour() {
            tally.blame(misbehaviour);
        }
    }
    if export.succeeded() {
        let expected = Snapshot::of(&source.archive)?;
        for (id, text) in Snapshot::of(&export.stdout)?.memories {
            if expected.memories.get(&id) != Some(&text) {
                tally.blame(format!("half way, memory {id} says something else: {text:?}"));
            }
        }
    }
    Ok(())
}

/// The copy holds what the source does.
fn at_the_end(source: &Source, target: &mut Place, tally: &mut Tally) -> Result<()> {
    let wrongs = tally.wrongs();
    tally.acknowledged += MEMORIES;
    let copied = target.run(&["export", "-"])?;
    if copied.stdout != source.archive {
        let lines: BTreeSet<&str> = copied.stdout.lines().collect();
        let mut missing = source.archive.lines().filter(|line| !lines.contains(line));
        match missing.next() {
            Some(line) => {
                let line: String = line.chars().take(150).collect();
                tally
                    .lose(format!("{} rows are not there as they were, such as {line}", missing.count() + 1));
            }
            None => tally.blame("the copy has rows that its source has not".to_owned()),
        }
    }
    let doctor = target.run(&["doctor"])?;
    if !doctor.succeeded() {
        tally.blame(format!("at the end `doctor` finds {}", findings(&doctor)));
    }
    if tally.wrongs() > wrongs {
        let folder = target.keep().display().to_string();
        tally.note(format!("a store with a fault is kept in {folder}"));
    }
    Ok(())
}

/// Exports over an older archive, which stays until the new one is whole.
fn killed_exports(
    source: &mut Source,
    span: Option<Duration>,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<Duration> {
    const OLD: &str = "an older archive\n";
    let file = source.scene.place.path("archive.jsonl");
    fs::write(&file, OLD)?;
    let until = span.map_or(Until::Overdue(PATIENCE), |span| Until::Kill(random.moment(span)));
    let ended = source.run(Move::Export, &source.scene.place, until)?;
    tally.tries += u64::from(span.is_some());
    source.scene.place.settle()?;
    if let Some(misbehaviour) = ended.misbehaviour() {
        tally.blame(misbehaviour);
    }
    let written = fs::read_to_string(&file).context("there is no archive any more")?;
    tally.acknowledged += if ended.succeeded() { MEMORIES } else { 0 };
    if ended.succeeded() && written != source.archive {
        tally.lose("the archive is not what the store holds, and the export succeeded".to_owned());
    } else if written != OLD && written != source.archive {
        tally
            .lose(format!("the archive is neither the old one nor the new one, but {} bytes", written.len()));
    }
    left_over(source.scene.place.folder(), tally)?;
    Ok(span.unwrap_or(ended.took))
}

/// Files that a killed command leaves are no fault, but somebody should know.
fn left_over(folder: &Path, tally: &mut Tally) -> Result<()> {
    const KNOWN: [&str; 4] = ["archive.jsonl", "memory.db", "memory.db-wal", "memory.db-shm"];
    for file in fs::read_dir(folder)? {
        let file = file?;
        if !KNOWN.iter().any(|known| file.file_name() == *known) {
            tally.note("a killed export leaves its temporary file".to_owned());
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

/// An archive of the same memories that are embedded by another model of the same dimension.
///
/// No command makes one: the name and the hash of the model are replaced in the file, where they keep their
/// length.
fn of_another_model(place: &Place, archive: &str) -> Result<String> {
    let header: Value = serde_json::from_str(archive.lines().next().unwrap_or_default())?;
    let mut bytes = fs::read(place.db()).context("cannot read the store")?;
    for key in ["name", "hash"] {
        let value = header["model"][key].as_str().context("the archive names no model")?;
        let other: String = value.chars().rev().collect();
        ensure!(other != value && other.len() == value.len(), "the model's {key} cannot be replaced");
        let mut found = false;
        for at in 0..bytes.len().saturating_sub(value.len()) {
            if bytes[at..].starts_with(value.as_bytes()) {
                bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
                found = true;
            }
        }
        ensure!(found, "the file does not hold the model's {key}");
    }
    let copy = place.path("other.db");
    fs::write(&copy, bytes)?;
    let foreign = place.ok(&["export", "-", "--db", &copy.display().to_string()])?;
    ensure!(foreign.lines().next() != archive.lines().next(), "the model is the same as before");
    Ok(foreign)
}
