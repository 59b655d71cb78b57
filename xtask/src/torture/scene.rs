//! A store under attack, and the oracle of what it has to hold.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::child::{Ended, Input};
use super::context::{Backend, Context};
use super::ledger::Ledger;
use super::place::Place;
use super::random::Random;
use super::snapshot::{Snapshot, Text};
use super::tally::Tally;

/// What an attack may leave to `vestige doctor --repair`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Nothing: `vestige doctor` finds all well.
    Nothing,
    /// Indexes that have to be built again.
    Indexes,
    /// A store that is not finished, which the next command that writes makes.
    Store,
}

/// A store with its oracle.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) ledger: Ledger,
    pub(super) random: Random,
    texts: u64,
}

impl Scene {
    /// An empty store.
    ///
    /// # Errors
    ///
    /// Where there is no place for it.
    pub(super) fn new(context: &Context, backend: Backend, random: Random) -> Result<Self> {
        Ok(Self { place: context.place(backend)?, ledger: Ledger::default(), random, texts: 0 })
    }

    /// A store with memories.
    ///
    /// # Errors
    ///
    /// Where it cannot be filled.
    pub(super) fn filled(context: &Context, backend: Backend, random: Random, memories: u64) -> Result<Self> {
        let mut scene = Self::new(context, backend, random)?;
        if memories == 0 {
            return Ok(scene);
        }
        let lines = scene.new_lines(memories);
        scene.place.ok_with(&["import", "-"], Input::Bytes(import_file(&lines)))?;
        for (id, text) in &lines {
            scene.ledger.acknowledge(id, Some(text));
        }
        // That was not under attack.
        scene.ledger.take_acknowledged();
        Ok(scene)
    }

    /// A text that no other memory of this store has.
    pub(super) fn new_text(&mut self) -> Text {
        const SUBJECTS: [&str; 6] = ["database", "harbour", "compiler", "garden", "invoice", "telescope"];
        self.texts += 1;
        let number = self.texts;
        let subject = SUBJECTS[self.random.below(SUBJECTS.len())];
        let mut content = format!(
            "The {subject} number {number} was moved, as note {} says.",
            format_args!("{MARK}{number}")
        );
        // Some are longer than a page.
        if self.random.below(12) == 0 {
            for sentence in 0..self.random.below(160) {
                let _ = write!(content, " Sentence {sentence} about the {subject} of {number}.");
            }
        }
        let tags = (0..self.random.below(3)).map(|tag| format!("tag{tag}")).collect();
        Text { content, tags }
    }

    /// New texts with ids of their own.
    pub(super) fn new_lines(&mut self, count: u64) -> Vec<(String, Text)> {
        let line = |_| {
            let text = self.new_text();
            (format!("70c70000-0000-7000-8000-{:012x}", self.texts), text)
        };
        (0..count).map(line).collect()
    }

    /// A memory that is certainly there.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub(super) fn any(&mut self) -> Result<(String, Text)> {
        let certain = self.ledger.certain();
        let at = self.random.below(certain.len());
        let (id, text) = certain.get(at).context("the store has no memory left")?;
        Ok(((*id).to_owned(), (*text).clone()))
    }

    /// Looks by fresh processes whether everything is there, and nothing done by half.
    ///
    /// # Errors
    ///
    /// Where it cannot look.
    pub(super) fn check(&mut self, tally: &mut Tally, after: &str, leaves: Leaves) -> Result<()> {
        self.place.settle()?;
        tally.acknowledged += self.ledger.take_acknowledged();
        let wrongs = tally.wrongs();
        self.diagnose(tally, after, leaves)?;
        let export = self.place.run(&["export", "-"])?;
        if let Some(misbehaviour) = export.misbehaviour() {
            tally.blame(format!("{after}: {misbehaviour}"));
        } else if export.succeeded() {
            let found = self.ledger.check(&Snapshot::of(&export.stdout)?);
            tally.judge(found, after);
            self.search(tally, after)?;
        } else if !self.ledger.certain().is_empty() {
            tally.lose(format!("{after}: the store cannot be read: {}", export.complaint()));
        }
        if tally.wrongs() > wrongs {
            let folder = self.place.keep().display().to_string();
            tally.note(format!("a store with a fault is kept in {folder}"));
        }
        Ok(())
    }

    fn diagnose(&self, tally: &mut Tally, after: &str, leaves: Leaves) -> Result<()> {
        let mut doctor = self.place.run(&["doctor"])?;
        if !doctor.succeeded() && doctor.misbehaviour().is_none() && leaves == Leaves::Indexes {
            doctor = self.place.run(&["doctor", "--repair"])?;
        }
        if let Some(misbehaviour) = doctor.misbehaviour() {
            tally.blame(format!("{after}: {misbehaviour}"));
        } else if !doctor.succeeded() && leaves != Leaves::Store {
            tally.blame(format!("{after}: `{}` finds {}", doctor.what, findings(&doctor)));
        }
        Ok(())
    }

    /// Whether a memory is found by a word that it alone has.
    fn search(&mut self, tally: &mut Tally, after: &str) -> Result<()> {
        let Ok((id, text)) = self.any() else { return Ok(()) };
        let word = text.content.split(' ').find(|word| word.starts_with(MARK)).unwrap_or_default();
        let found = self.place.run(&["search", &format!("\"{word}\""), "--mode", "keyword", "--json"])?;
        if let Some(misbehaviour) = found.misbehaviour() {
            tally.blame(format!("{after}: {misbehaviour}"));
        } else if !found.stdout.contains(&id) {
            tally.blame(format!("{after}: memory {id} is not found by {word}: {}", found.complaint()));
        }
        Ok(())
    }
}

/// How the word begins that a text alone has.
const MARK: &str = "mark";

/// The file that `vestige import` reads.
pub(super) fn import_file(lines: &[(String, Text)]) -> Vec<u8> {
    let line = |(id, text): &(String, Text)| {
        format!("{}\n", json!({"id": id, "content": text.content, "tags": text.tags}))
    };
    lines.iter().map(line).collect::<String>().into_bytes()
}

/// What `vestige doctor` calls an error, in one line.
pub(super) fn findings(doctor: &Ended) -> String {
    let errors: Vec<&str> = doctor.stdout.lines().filter(|line| line.starts_with("error")).collect();
    let said = if errors.is_empty() { doctor.complaint() } else { errors.join("; ") };
    said.chars().take(400).collect()
}
