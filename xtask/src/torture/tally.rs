//! What the attacks did: the table, and what went wrong.

use anyhow::Result;

use super::ledger::Judgement;

/// How many faults of one attack are printed.
const MOST_SAID: usize = 5;

/// A row of the table.
#[derive(Debug, Default)]
pub(super) struct Tally {
    attack: String,
    store: String,
    pub(super) tries: u64,
    pub(super) acknowledged: u64,
    lost: Vec<String>,
    faults: Vec<String>,
    notes: Vec<String>,
    not_run: Option<String>,
}

impl Tally {
    pub(super) fn new(attack: &str, store: &str) -> Self {
        Self { attack: attack.to_owned(), store: store.to_owned(), ..Self::default() }
    }

    /// An attack that cannot run here, and why.
    pub(super) fn not_run(attack: &str, store: &str, why: &str) -> Self {
        Self { not_run: Some(why.to_owned()), ..Self::new(attack, store) }
    }

    /// Notes what a check found, after what was done.
    pub(super) fn judge(&mut self, found: Judgement, after: &str) {
        self.lost.extend(found.lost.into_iter().map(|lost| format!("{after}: {lost}")));
        self.faults.extend(found.wrong.into_iter().map(|wrong| format!("{after}: {wrong}")));
    }

    /// Something acknowledged is lost.
    pub(super) fn lose(&mut self, what: String) {
        self.lost.push(what);
    }

    /// Something is wrong, though nothing is lost.
    pub(super) fn blame(&mut self, what: String) {
        self.faults.push(what);
    }

    /// Something to know that is no fault.
    pub(super) fn note(&mut self, what: String) {
        if !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.faults.is_empty()
    }

    /// How much is lost.
    #[cfg(test)]
    pub(super) fn lost(&self) -> usize {
        self.lost.len()
    }

    /// How many faults of any kind there are.
    pub(super) fn wrongs(&self) -> usize {
        self.lost.len() + self.faults.len()
    }
}

/// Whether every attack was withstood.
pub(super) fn all_clean(tallies: &[Tally]) -> bool {
    tallies.iter().all(Tally::is_clean)
}

/// Prints the table, and below it what went wrong, what else is to be known, and what did not run.
///
/// # Errors
///
/// Where stdout is closed.
pub(super) fn print(tallies: &[Tally], mut out: impl std::io::Write) -> Result<()> {
    let width = |column: fn(&Tally) -> &str, title: &str| {
        let widths = tallies.iter().map(|tally| column(tally).chars().count());
        widths.max().unwrap_or(0).max(title.len())
    };
    let (attack, store) = (width(|tally| &tally.attack, "attack"), width(|tally| &tally.store, "store"));
    writeln!(
        out,
        "{:attack$}  {:store$}  {:>6}  {:>12}  {:>5}",
        "attack", "store", "tries", "acknowledged", "lost"
    )?;
    for tally in tallies {
        let Tally { attack: name, store: on, tries, acknowledged, lost, not_run, .. } = tally;
        let lost = lost.len();
        match not_run {
            Some(why) => writeln!(out, "{name:attack$}  {on:store$}  not run: {why}")?,
            None => writeln!(out, "{name:attack$}  {on:store$}  {tries:>6}  {acknowledged:>12}  {lost:>5}")?,
        }
    }
    for tally in tallies {
        let place = format!("{}, {}", tally.attack, tally.store);
        for (word, said) in [("lost", &tally.lost), ("fault", &tally.faults), ("note", &tally.notes)] {
            for line in said.iter().take(MOST_SAID) {
                writeln!(out, "{word}: {place}: {line}")?;
            }
            if said.len() > MOST_SAID {
                writeln!(out, "{word}: {place}: and {} more", said.len() - MOST_SAID)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_what_is_lost_and_says_what() {
        let mut bad = Tally::new("kill -9: add", "sqlite");
        (bad.tries, bad.acknowledged) = (7, 5);
        bad.judge(Judgement { lost: vec!["memory 1 is gone".to_owned()], wrong: Vec::new() }, "add");
        let tallies = [bad, Tally::new("proxy", "postgres"), Tally::not_run("disk", "sqlite", "no tmpfs")];
        let mut out = Vec::new();
        print(&tallies, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["kill", "-9:", "add", "sqlite", "7", "5", "1"]);
        assert_eq!(lines[3], ["disk", "sqlite", "not", "run:", "no", "tmpfs"]);
        assert_eq!(out.lines().last(), Some("lost: kill -9: add, sqlite: add: memory 1 is gone"));
        assert!(!all_clean(&tallies) && tallies[1].is_clean());
    }

    #[test]
    fn a_fault_without_a_loss_is_not_clean() {
        let mut tally = Tally::new("proxy", "postgres");
        tally.blame("`search` panicked".to_owned());
        assert!(!all_clean(&[tally]));
    }
}
