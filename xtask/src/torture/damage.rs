//! Damaged and torn files: an SQLite file, its log, an archive.
//!
//! The command says that something is wrong, or everything acknowledged is right. A log that is torn keeps
//! what was committed before the place where it is torn.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::child::Ended;
use super::client::Client;
use super::context::{Backend, Context};
use super::place::Place;
use super::random::Random;
use super::scene::{Scene, findings};
use super::snapshot::{Snapshot, Text};
use super::tally::Tally;

/// The size of a page of SQLite.
const PAGE: usize = 4096;
const MEMORIES: u64 = 200;

/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    Ok(vec![damaged_file(context)?, torn_log(context)?, damaged_archive(context)?])
}

/// What is done to bytes, in words.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let pages = bytes.len().div_ceil(PAGE).max(1);
    let page = random.below(pages) * PAGE;
    let end = (page + PAGE).min(bytes.len());
    match random.below(6) {
        0 if random.below(4) == 0 => {
            bytes.clear();
            "emptied".to_owned()
        }
        0 | 1 => {
            bytes.truncate(random.below(bytes.len()));
            format!("cut off after {} bytes", bytes.len())
        }
        2 => {
            bytes[page..end].fill(0);
            format!("page at {page} zeroed")
        }
        3 => {
            bytes[page..end].fill_with(|| random.next().to_le_bytes()[0]);
            format!("page at {page} overwritten")
        }
        4 => {
            // As where a write went to the wrong place.
            let from = random.below(pages) * PAGE;
            let other = bytes[from..(from + end - page).min(bytes.len())].to_vec();
            bytes[page..page + other.len()].copy_from_slice(&other);
            format!("page at {page} replaced by that at {from}")
        }
        _ => {
            // As where the power went while a page was written.
            let half = page + (end - page) / 2;
            bytes[half..end].fill(0);
            format!("page at {page} torn")
        }
    }
}

/// An SQLite file without a log.
fn damaged_file(context: &Context) -> Result<Tally> {
    let mut tally = Tally::new("damaged file", Backend::Sqlite.name());
    let mut scene = Scene::filled(context, Backend::Sqlite, context.random("damaged file"), MEMORIES)?;
    let sound = fs::read(scene.place.db()).context("cannot read the store")?;
    let expected = snapshot(&scene.place)?;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? {
        tally.tries += 1;
        tally.acknowledged += MEMORIES;
        let mut bytes = sound.clone();
        let how = damage(&mut bytes, &mut scene.random);
        if bytes == sound {
            continue;
        }
        put(&scene.place, &bytes, None)?;
        let reading = Reading::of(&scene.place)?;
        reading.judge(&expected, &how, &mut tally);
    }
    Ok(tally)
}

/// What the commands say of a damaged store.
struct Reading {
    doctor: Ended,
    export: Ended,
    list: Ended,
    search: Ended,
}

impl Reading {
    fn of(place: &Place) -> Result<Self> {
        Ok(Self {
            doctor: place.run(&["doctor"])?,
            export: place.run(&["export", "-"])?,
            list: place.run(&["list", "--all", "--json"])?,
            search: place.run(&["search", "who moved the harbour"])?,
        })
    }

    /// Something may be missing or different only where somebody says that something is wrong.
    fn judge(&self, expected: &Snapshot, how: &str, tally: &mut Tally) {
        for ended in [&self.doctor, &self.export, &self.list, &self.search] {
            if let Some(misbehaviour) = ended.misbehaviour() {
                tally.blame(format!("{how}: {misbehaviour}"));
            }
        }
        if !self.doctor.succeeded() {
            return;
        }
        if self.export.succeeded() {
            match Snapshot::of(&self.export.stdout) {
                Ok(seen) => different(expected, &seen, how, tally),
                Err(error) => tally.blame(format!("{how}: {error:#}")),
            }
        }
        if self.list.succeeded() {
            let missing = expected.memories.keys().filter(|id| !self.list.stdout.contains(*id)).count();
            if missing > 0 {
                tally.lose(format!("{how}: {missing} memories are not listed, and `doctor` is content"));
            }
        }
    }
}

/// Counts what nobody said is lost.
fn different(expected: &Snapshot, seen: &Snapshot, how: &str, tally: &mut Tally) {
    for (id, text) in &expected.memories {
        if seen.memories.get(id) != Some(text) {
            tally.lose(format!("{how}: memory {id} is gone or says something else, and nobody says so"));
        }
    }
    if let Some(id) = seen.memories.keys().find(|id| !expected.memories.contains_key(*id)) {
        tally.blame(format!("{how}: memory {id} came out of nowhere"));
    }
}

/// A store as a server that was killed leaves it.
struct Crashed {
    file: Vec<u8>,
    log: Vec<u8>,
    before: Snapshot,
    /// What was added, in the order of the commits, with the length of the log after each.
    added: Vec<(usize, String, Text)>,
}

impl Crashed {
    fn make(scene: &mut Scene, count: usize) -> Result<Self> {
        let before = snapshot(&scene.place)?;
        let log = side_file(&scene.place, "-wal");
        let mut client = Client::start(&scene.place)?;
        let mut added = Vec::with_capacity(count);
        for _ in 0..count {
            let text = scene.new_text();
            let id = client.remember(&text)?;
            let length = fs::metadata(&log).context("a store in use has no log")?.len();
            added.push((usize::try_from(length).unwrap_or(usize::MAX), id, text));
        }
        client.kill()?;
        let file = fs::read(scene.place.db()).context("cannot read the store")?;
        let log = fs::read(log).context("cannot read the log")?;
        Ok(Self { file, log, before, added })
    }

    /// What has to be there where the log is sound up to `sound`, and what may be there.
    fn judge(&self, seen: &Snapshot, sound: usize, how: &str, tally: &mut Tally) {
        let mut known = self.before.memories.clone();
        for (id, text) in &self.before.memories {
            if seen.memories.get(id) != Some(text) {
                tally.lose(format!("{how}: memory {id}, older than the log, is gone or says something else"));
            }
        }
        let mut is_missing = false;
        for (length, id, text) in &self.added {
            match seen.memories.get(id) {
                Some(found) if found != text => tally.lose(format!("{how}: {id} says something else")),
                Some(_) if is_missing => {
                    tally.blame(format!("{how}: {id} is there, and one before it is not"))
                }
                Some(_) => {}
                None if *length <= sound => tally.lose(format!("{how}: {id}, logged before that, is gone")),
                None => is_missing = true,
            }
            known.insert(id.clone(), text.clone());
        }
        if let Some(id) = seen.memories.keys().find(|id| !known.contains_key(*id)) {
            tally.blame(format!("{how}: memory {id} came out of nowhere"));
        }
    }
}

/// An SQLite file whose log is damaged.
fn torn_log(context: &Context) -> Result<Tally> {
    const ADDED: usize = 25;
    let mut tally = Tally::new("torn log", Backend::Sqlite.name());
    let mut scene = Scene::filled(context, Backend::Sqlite, context.random("torn log"), 20)?;
    let crashed = Crashed::make(&mut scene, ADDED)?;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? {
        tally.tries += 1;
        let mut log = crashed.log.clone();
        let how = format!("log of {} bytes, {}", log.len(), damage(&mut log, &mut scene.random));
        let sound = log.iter().zip(&crashed.log).take_while(|(damaged, sound)| damaged == sound).count();
        tally.acknowledged += crashed.added.iter().filter(|(length, ..)| *length <= sound).count() as u64;
        put(&scene.place, &crashed.file, Some(&log))?;
        let export = scene.place.run(&["export", "-"])?;
        if export.succeeded() {
            crashed.judge(&Snapshot::of(&export.stdout)?, sound, &how, &mut tally);
        }
        for ended in [export, scene.place.run(&["doctor"])?] {
            if let Some(misbehaviour) = ended.misbehaviour() {
                tally.blame(format!("{how}: {misbehaviour}"));
            } else if !ended.succeeded() {
                tally.note(format!("`{}` says: {}", ended.what, findings(&ended)));
            }
        }
    }
    Ok(tally)
}

/// An archive, which is refused, or restored whole.
fn damaged_archive(context: &Context) -> Result<Tally> {
    let mut tally = Tally::new("damaged archive", Backend::Sqlite.name());
    let mut scene = Scene::filled(context, Backend::Sqlite, context.random("damaged archive"), MEMORIES)?;
    let archive = scene.place.ok(&["export", "-"])?.into_bytes();
    let expected = snapshot(&scene.place)?;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? {
        tally.tries += 1;
        tally.acknowledged += MEMORIES;
        let mut bytes = archive.clone();
        let how = if scene.random.below(3) == 0 {
            let at = scene.random.below(bytes.len());
            bytes[at] ^= 1 << scene.random.below(8);
            format!("archive, bit flipped at {at}")
        } else {
            format!("archive, {}", damage(&mut bytes, &mut scene.random))
        };
        let target = context.place(Backend::Sqlite)?;
        fs::write(target.path("archive.jsonl"), &bytes)?;
        let restore = target.run(&["restore", "archive.jsonl"])?;
        if let Some(misbehaviour) = restore.misbehaviour() {
            tally.blame(format!("{how}: {misbehaviour}"));
        } else if restore.succeeded() {
            different(&expected, &snapshot(&target)?, &how, &mut tally);
        } else if target.db().exists() && !snapshot(&target)?.memories.is_empty() {
            tally.blame(format!("{how}: refused, and a part of it was restored"));
        }
    }
    Ok(tally)
}

fn snapshot(place: &Place) -> Result<Snapshot> {
    Snapshot::of(&place.ok(&["export", "-"])?)
}

fn side_file(place: &Place, suffix: &str) -> PathBuf {
    place.path(&format!("memory.db{suffix}"))
}

/// Puts a store in the place of that which is there.
fn put(place: &Place, file: &[u8], log: Option<&[u8]>) -> Result<()> {
    for side in ["-wal", "-shm", "-journal"].map(|suffix| side_file(place, suffix)) {
        match fs::remove_file(&side) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", side.display()));
            }
            _ => {}
        }
    }
    fs::write(place.db(), file).context("cannot write the store")?;
    log.map_or(Ok(()), |log| fs::write(side_file(place, "-wal"), log)).context("cannot write the log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Text {
        Text { content: content.to_owned(), tags: Vec::new() }
    }

    fn seen(memories: &[(&str, &str)]) -> Snapshot {
        let memories = memories.iter().map(|(id, content)| ((*id).to_owned(), text(content))).collect();
        Snapshot { memories, ..Snapshot::default() }
    }

    fn judged(state: &[(&str, &str)], sound: usize) -> (usize, bool) {
        let crashed = Crashed {
            file: Vec::new(),
            log: Vec::new(),
            before: seen(&[("0", "zero")]),
            added: vec![(10, "1".to_owned(), text("one")), (20, "2".to_owned(), text("two"))],
        };
        let mut tally = Tally::new("torn log", "sqlite");
        crashed.judge(&seen(state), sound, "torn", &mut tally);
        (tally.lost(), tally.is_clean())
    }

    #[test]
    fn what_was_logged_before_the_damage_is_lost_if_it_is_gone() {
        assert_eq!(judged(&[("0", "zero"), ("1", "one")], 15), (0, true));
        assert_eq!(judged(&[("0", "zero")], 15), (1, false));
        assert_eq!(judged(&[("0", "zero")], 5), (0, true));
        assert_eq!(judged(&[("1", "one"), ("2", "two")], 5), (1, false));
        assert_eq!(judged(&[("0", "zero"), ("1", "ome")], 5), (1, false));
        // A later transaction without the one before it.
        assert_eq!(judged(&[("0", "zero"), ("2", "two")], 5), (0, false));
    }

    #[test]
    fn a_memory_that_says_something_else_is_lost_unless_the_doctor_complains() {
        let mut tally = Tally::new("damaged file", "sqlite");
        different(
            &seen(&[("1", "one"), ("2", "two")]),
            &seen(&[("1", "0ne"), ("2", "two")]),
            "x",
            &mut tally,
        );
        assert_eq!(tally.lost(), 1);
    }

    #[test]
    fn each_damage_stays_within_the_file() {
        let mut random = Random::new(1, "damage");
        for length in [1, PAGE, 3 * PAGE, 3 * PAGE + 17] {
            for _ in 0..200 {
                let mut bytes = vec![7; length];
                damage(&mut bytes, &mut random);
                assert!(bytes.len() <= length);
            }
        }
    }
}
