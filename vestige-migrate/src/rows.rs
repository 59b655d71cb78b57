//! Where rows come from: a store, or an archive.

use std::future::Future;

use vestige_traits::transfer::{RowIssue, TransferKey, TransferKind, TransferPage, TransferRow};
use vestige_traits::{MemoryStore, ModelSignature};

use crate::canonical::write_row;
use crate::error::{MigrateError, MigrateResult};
use crate::inventory::{LineDigest, PerKind};

/// How many bytes of canonical lines a page should come to: enough to make the cost of a
/// transaction small, little enough that a few pages are nothing to a machine.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
const FEWEST_ROWS: usize = 16;

/// Something whose rows can be read by kind and key.
pub(crate) trait Rows: Send {
    fn model(&mut self) -> impl Future<Output = MigrateResult<Option<ModelSignature>>> + Send;

    fn counts(&mut self) -> impl Future<Output = MigrateResult<PerKind<u64>>> + Send;

    /// As [`MemoryStore::export_page`].
    fn page(
        &mut self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> impl Future<Output = MigrateResult<TransferPage>> + Send;
}

/// The rows of a store, whose errors `side` marks as the source's or the target's.
pub(crate) struct StoreRows<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) side: fn(vestige_traits::MemoryStoreError) -> MigrateError,
}

impl<S: MemoryStore + Sync> Rows for StoreRows<'_, S> {
    async fn model(&mut self) -> MigrateResult<Option<ModelSignature>> {
        self.store.registered_model().await.map_err(self.side)
    }

    async fn counts(&mut self) -> MigrateResult<PerKind<u64>> {
        let mut counts = PerKind::default();
        for kind in TransferKind::ALL {
            counts[kind] = self.store.count_rows(kind).await.map_err(self.side)?;
        }
        Ok(counts)
    }

    async fn page(
        &mut self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MigrateResult<TransferPage> {
        self.store.export_page(kind, after, limit).await.map_err(self.side)
    }
}

/// A row with its key and the digest of its canonical line. The line itself is longer than the row, and not
/// kept.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: TransferKey,
    pub(crate) line: LineDigest,
    pub(crate) row: TransferRow,
}

/// A page with the digests of its rows' canonical lines.
#[derive(Debug, Default)]
pub(crate) struct DigestedPage {
    pub(crate) rows: Vec<Row>,
    pub(crate) damaged: Vec<RowIssue>,
    pub(crate) next: Option<TransferKey>,
}

/// Reads the rows of one kind page by page, in pages of about [`PAGE_BYTES`], and makes sure
/// that keys ascend.
#[derive(Debug)]
pub(crate) struct Pages {
    kind: TransferKind,
    after: Option<TransferKey>,
    last: Option<TransferKey>,
    finished: bool,
    limit: usize,
    most: usize,
    line: Vec<u8>,
}

impl Pages {
    pub(crate) fn new(kind: TransferKind, after: Option<TransferKey>, most: usize) -> Self {
        let (last, limit) = (after.clone(), most.min(4 * FEWEST_ROWS));
        Self { kind, last, after, finished: false, limit, most, line: Vec::new() }
    }

    /// The next page; none at the end.
    pub(crate) async fn next(&mut self, source: &mut impl Rows) -> MigrateResult<Option<DigestedPage>> {
        self.next_lines(source, |_| Ok(())).await
    }

    /// The same, and shows each canonical line while it is there.
    pub(crate) async fn next_lines(
        &mut self,
        source: &mut impl Rows,
        mut show: impl FnMut(&[u8]) -> MigrateResult<()> + Send,
    ) -> MigrateResult<Option<DigestedPage>> {
        if self.finished {
            return Ok(None);
        }
        let page = source.page(self.kind, self.after.as_ref(), self.limit).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        let mut bytes = 0;
        for row in page.rows {
            let key = row.key();
            if let Some(before) = self.last.take().filter(|before| *before >= key) {
                return Err(MigrateError::OutOfOrder { kind: self.kind, before, after: key });
            }
            self.line.clear();
            write_row(&mut self.line, &row);
            show(&self.line)?;
            bytes += self.line.len();
            self.last = Some(key.clone());
            rows.push(Row { key, line: LineDigest::of(&self.line), row });
        }
        if let (Some(before), Some(after)) = (&self.after, &page.next)
            && before >= after
        {
            let (before, after) = (before.clone(), after.clone());
            return Err(MigrateError::OutOfOrder { kind: self.kind, before, after });
        }
        if let Some(average) = bytes.checked_div(rows.len()) {
            // Never more than twice as many as before: a few small rows say little about the next ones.
            let fitting = (PAGE_BYTES / average.max(1)).clamp(FEWEST_ROWS, 2 * self.limit.max(FEWEST_ROWS));
            self.limit = fitting.min(self.most);
        }
        self.finished = page.next.is_none();
        self.after.clone_from(&page.next);
        Ok(Some(DigestedPage { rows, damaged: page.damaged, next: page.next }))
    }
}
