//! Two sides read side by side, in the order of keys.

use std::cmp::Ordering;
use std::collections::VecDeque;

use vestige_traits::transfer::{RowIssue, TransferKind};

use crate::error::MigrateResult;
use crate::rows::{Pages, Row, Rows};

/// Steps through all rows of two sides at once.
///
/// After each step `left` and `right` hold the rows at hand: the left one counts where the order
/// is not greater, the right one where it is not less.
#[derive(Debug)]
pub(crate) struct SideBySide {
    page_rows: usize,
    kinds: VecDeque<TransferKind>,
    readers: Option<(TransferKind, Reader, Reader)>,
    at: Ordering,
    pub(crate) left: Option<Row>,
    pub(crate) right: Option<Row>,
    /// Rows that the left side could not read, until the caller takes them.
    pub(crate) left_damaged: Vec<RowIssue>,
    /// Rows that the right side could not read, until the caller takes them.
    pub(crate) right_damaged: Vec<RowIssue>,
}

impl SideBySide {
    pub(crate) fn new(page_rows: usize) -> Self {
        Self {
            page_rows,
            kinds: TransferKind::ALL.into(),
            readers: None,
            at: Ordering::Equal,
            left: None,
            right: None,
            left_damaged: Vec::new(),
            right_damaged: Vec::new(),
        }
    }

    /// Goes to the next row, and says which side has it: both where equal. None at the end.
    pub(crate) async fn next(
        &mut self,
        left: &mut impl Rows,
        right: &mut impl Rows,
    ) -> MigrateResult<Option<(TransferKind, Ordering)>> {
        loop {
            let (kind, left_reader, right_reader) = match &mut self.readers {
                Some(readers) => readers,
                None => {
                    let Some(kind) = self.kinds.pop_front() else { return Ok(None) };
                    self.at = Ordering::Equal;
                    let reader = || Reader::new(kind, self.page_rows);
                    self.readers.insert((kind, reader(), reader()))
                }
            };
            if self.at != Ordering::Greater {
                self.left = left_reader.next(left, &mut self.left_damaged).await?;
            }
            if self.at != Ordering::Less {
                self.right = right_reader.next(right, &mut self.right_damaged).await?;
            }
            self.at = match (&self.left, &self.right) {
                (Some(left), Some(right)) => left.key.cmp(&right.key),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => {
                    self.readers = None;
                    continue;
                }
            };
            return Ok(Some((*kind, self.at)));
        }
    }

    /// Whether both sides have the row at hand, and alike.
    pub(crate) fn is_same(&self) -> bool {
        self.at == Ordering::Equal
            && matches!((&self.left, &self.right), (Some(left), Some(right)) if left.line == right.line)
    }
}

/// Reads the rows of one kind one by one.
#[derive(Debug)]
struct Reader {
    pages: Pages,
    ready: VecDeque<Row>,
}

impl Reader {
    fn new(kind: TransferKind, page_rows: usize) -> Self {
        Self { pages: Pages::new(kind, None, page_rows), ready: VecDeque::new() }
    }

    async fn next(
        &mut self,
        source: &mut impl Rows,
        damaged: &mut Vec<RowIssue>,
    ) -> MigrateResult<Option<Row>> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(Some(row));
            }
            let Some(page) = self.pages.next(source).await? else { return Ok(None) };
            self.ready = page.rows.into();
            damaged.extend(page.damaged);
        }
    }
}
