//! Stores the lines of an import, batch by batch, so that doing it again changes nothing.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;
use vestige_cli::ImportLine;
use vestige_traits::{AnyEmbedder, AnyMemoryStore, MemoryStore, TransferRow};

use crate::app::embed_documents;
use crate::commands::import::MOST_COMPLAINTS;
use crate::failure::CommandResult;
use crate::output;
use crate::printable::counted;

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// New memories.
    pub(crate) stored: u64,
    /// Memories that were there already, and say the same.
    pub(crate) unchanged: u64,
    /// Memories that are there and say something else. They stay as they are.
    pub(crate) conflicts: u64,
    /// Lines that are no memory.
    pub(crate) bad: u64,
}

impl Totals {
    /// What is worth saying only where there is some of it.
    pub(crate) fn rest(&self) -> String {
        let mut text = String::new();
        if self.conflicts > 0 {
            text = format!("{text}, {} left as it was (other content)", self.conflicts);
        }
        if self.bad > 0 {
            text = format!("{text}, {} passed over", counted(self.bad, "bad line"));
        }
        text
    }
}

pub(crate) struct Importer<'a> {
    store: &'a AnyMemoryStore,
    embedder: &'a AnyEmbedder,
    label: &'a str,
    pub(crate) totals: Totals,
}

type Numbered = (u64, ImportLine);

impl<'a> Importer<'a> {
    pub(crate) fn new(store: &'a AnyMemoryStore, embedder: &'a AnyEmbedder, label: &'a str) -> Self {
        Self { store, embedder, label, totals: Totals::default() }
    }

    /// Stores lines with their numbers in one transaction. The totals change when it is committed.
    pub(crate) async fn store(&mut self, batch: Vec<Numbered>) -> CommandResult {
        let batch = self.without_repeats(batch);
        let batch = self.without_known(batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = batch.iter().map(|(_, line)| line.record.content.as_str()).collect();
        let vectors = embed_documents(self.embedder, &texts).await?;
        let rows: Vec<TransferRow> = batch
            .iter()
            .zip(vectors)
            .map(|((_, line), vector)| {
                let mut record = line.record.clone();
                record.embedding = vector;
                TransferRow::Memory(record)
            })
            .collect();
        let report = self.store.import_page(&rows, None).await?;
        self.totals.stored += report.inserted;
        self.totals.unchanged += report.unchanged;
        let lines: HashMap<String, &Numbered> =
            batch.iter().map(|numbered| (numbered.1.record.id.to_string(), numbered)).collect();
        for issue in &report.conflicts {
            // Another process may have stored the same file at the same moment: a line says less than a row.
            if let Some((number, line)) = lines.get(&issue.key.to_string()) {
                self.compare(*number, line).await?;
            }
        }
        for issue in &report.rejected {
            let number = lines.get(&issue.key.to_string()).map_or(0, |(number, _)| *number);
            self.totals.bad += 1;
            output::error(&format!("{}:{number}: {}", self.label, issue.reason));
        }
        Ok(())
    }

    /// The lines but for those whose id came before in the batch.
    fn without_repeats(&mut self, batch: Vec<Numbered>) -> Vec<Numbered> {
        let mut first: HashMap<Uuid, usize> = HashMap::with_capacity(batch.len());
        let mut kept: Vec<Numbered> = Vec::with_capacity(batch.len());
        for (number, line) in batch {
            match first.get(&line.record.id).map(|&at| &kept[at]) {
                None => {
                    first.insert(line.record.id, kept.len());
                    kept.push((number, line));
                }
                Some((_, before)) => {
                    let differences = line.differences(&before.record);
                    self.count_known(number, &line, &differences);
                }
            }
        }
        kept
    }

    /// The lines but for those that are stored already, where the first one is: an import goes on
    /// after an interruption, and what it stored before need not be embedded again.
    async fn without_known(&mut self, batch: Vec<Numbered>) -> CommandResult<Vec<Numbered>> {
        let Some((_, first)) = batch.first() else { return Ok(batch) };
        if self.store.get(first.record.id).await?.is_none() {
            return Ok(batch);
        }
        let mut unknown = Vec::new();
        for (number, line) in batch {
            if !self.compare(number, &line).await? {
                unknown.push((number, line));
            }
        }
        Ok(unknown)
    }

    /// Counts a line whose memory is there. Returns whether it is.
    async fn compare(&mut self, number: u64, line: &ImportLine) -> CommandResult<bool> {
        let Some(existing) = self.store.get(line.record.id).await? else { return Ok(false) };
        let differences = line.differences(&existing);
        self.count_known(number, line, &differences);
        Ok(true)
    }

    fn count_known(&mut self, number: u64, line: &ImportLine, differences: &[&str]) {
        if differences.is_empty() {
            self.totals.unchanged += 1;
            return;
        }
        self.totals.conflicts += 1;
        if self.totals.conflicts <= MOST_COMPLAINTS {
            output::error(&format!(
                "{}:{number}: memory {} is there with other {}, and stays as it is; \
                 change it with `vestige update`, or give the line another id",
                self.label,
                line.record.id,
                differences.join(", ")
            ));
        } else if self.totals.conflicts == MOST_COMPLAINTS + 1 {
            output::error(&format!("{}: there are more memories with other content", self.label));
        }
    }
}
