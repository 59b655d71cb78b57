//! Stores the lines of an import, batch by batch, so that doing it again changes nothing.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;
use vestige_cli::ImportLine;
use vestige_memory::Memory;
use vestige_memory::text::counted;
use vestige_traits::stats::HealthStatus;
use vestige_traits::transfer::{TransferKey, TransferRow};
use vestige_traits::{AnyEmbedder, AnyMemoryStore, Embedder, MemoryStore};

use crate::failure::CommandResult;
use crate::output;

/// How many complaints of one kind are printed.
pub(crate) const MOST_COMPLAINTS: u64 = 20;
/// From how many memories on it pays to take indexes down and build them again.
const LARGE: u64 = 1000;

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
    loading: Loading,
}

/// How the indexes are kept while lines come in.
#[derive(Clone, Copy, Debug)]
enum Loading {
    /// Row by row, until as many memories are stored as there were before, which are counted when it matters.
    RowByRow { before: Option<u64> },
    /// Row by row to the end, since this role may not take them down.
    OnlyRowByRow,
    /// Those that are slow to fill are down, and built at the end.
    InBulk,
}

type Numbered = (u64, ImportLine);

impl<'a> Importer<'a> {
    pub(crate) fn new(memory: &'a Memory<AnyMemoryStore, AnyEmbedder>, label: &'a str) -> Self {
        Self {
            store: memory.store(),
            embedder: memory.embedder(),
            label,
            totals: Totals::default(),
            loading: Loading::RowByRow { before: None },
        }
    }

    /// Stores lines with their numbers in one transaction. The totals change when it is committed.
    pub(crate) async fn store(&mut self, batch: Vec<Numbered>) -> CommandResult {
        let batch = self.without_repeats(batch);
        let batch = self.without_known(batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        self.take_indexes_down().await?;
        let texts: Vec<&str> = batch.iter().map(|(_, line)| line.record.content.as_str()).collect();
        let vectors = self.embedder.embed_documents(&texts).await?;
        let mut lines = HashMap::with_capacity(batch.len());
        let mut rows = Vec::with_capacity(batch.len());
        for ((number, ImportLine { mut record, has_time }), vector) in batch.into_iter().zip(vectors) {
            lines.insert(TransferKey::Memory(record.id), (number, has_time, rows.len()));
            record.embedding = vector;
            rows.push(TransferRow::Memory(record));
        }
        let report = self.store.import_page(&rows, None).await?;
        self.totals.stored += report.inserted;
        self.totals.unchanged += report.unchanged;
        for issue in &report.conflicts {
            // Another process may have stored the same file at the same moment: a line says less than a row.
            if let Some(&(number, has_time, at)) = lines.get(&issue.key)
                && let TransferRow::Memory(record) = &rows[at]
            {
                let line = ImportLine { record: record.clone(), has_time };
                self.compare(number, &line).await?;
            }
        }
        for issue in &report.rejected {
            let number = lines.get(&issue.key).map_or(0, |(number, ..)| *number);
            self.totals.bad += 1;
            output::error(&format!("{}:{number}: {}", self.label, issue.reason));
        }
        Ok(())
    }

    /// Prepares the store for many more lines, once as many are stored as there were memories: how many will
    /// come is not known of a stream, and to build indexes over twice that takes less time than was spent on
    /// filling them.
    async fn take_indexes_down(&mut self) -> CommandResult {
        let Loading::RowByRow { before } = self.loading else { return Ok(()) };
        let stored = self.totals.stored;
        if stored < LARGE {
            return Ok(());
        }
        let before = match before {
            Some(before) => before,
            None => self.store.count().await?.saturating_sub(stored),
        };
        self.loading = Loading::RowByRow { before: Some(before) };
        if stored < before {
            return Ok(());
        }
        self.loading = match self.store.begin_bulk_load().await {
            Ok(()) => Loading::InBulk,
            // A role that may write need not own the tables. What else there is, the next batch meets too.
            Err(error) => {
                tracing::info!(%error, "the indexes stay, and are filled row by row");
                Loading::OnlyRowByRow
            }
        };
        Ok(())
    }

    /// Builds what was taken down, by this import or by one of the same lines that was interrupted.
    pub(crate) async fn finish(&self) -> CommandResult {
        let known = self.totals.stored + self.totals.unchanged + self.totals.conflicts;
        match self.loading {
            Loading::InBulk => self.store.finish_bulk_load().await?,
            // A small import into a large store leaves that to whoever loads it.
            _ if known >= LARGE
                && self.indexes_are_down().await
                && self.store.count().await? <= 2 * known =>
            {
                if let Err(error) = self.store.finish_bulk_load().await {
                    tracing::warn!(%error, "the vector index is missing and could not be built");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What an interruption leaves beside the memories.
    pub(crate) async fn say_what_is_left(&self) {
        if matches!(self.loading, Loading::InBulk) && self.indexes_are_down().await {
            output::note(
                "the vector index is down until the import has reached its end, or `vestige doctor --repair` was run; \
                 searches find the same without it, and take longer",
            );
        }
    }

    async fn indexes_are_down(&self) -> bool {
        matches!(self.store.health_check().await, Ok(HealthStatus::Degraded { .. }))
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
