use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use vestige_traits::transfer::{RowIssue, TransferRow};

use crate::canonical::{Object, write_row};

/// Why a row is not in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RejectOutcome {
    /// The source cannot read it as what it should be.
    Damaged,
    /// It breaks a rule of the target, or belongs to something that is not there.
    Rejected,
    /// The target holds its key with other content, and keeps that.
    Conflict,
}

impl RejectOutcome {
    /// The word that stands in a rejects file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
        }
    }
}

impl fmt::Display for RejectOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row that was not moved.
#[derive(Clone, Copy, Debug)]
pub struct Reject<'a> {
    /// What became of it.
    pub outcome: RejectOutcome,
    /// Its kind, its key and the reason.
    pub issue: &'a RowIssue,
    /// The row as the source has it; none if it could not be read.
    pub row: Option<&'a TransferRow>,
}

/// A destination for rows that were not moved.
///
/// Rejects of a page are flushed before the next page begins. After a crash, the rejects of one page may be
/// written a second time.
pub trait RejectSink: Send {
    /// Writes one row.
    ///
    /// # Errors
    ///
    /// If writing fails. The work then stops.
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()>;

    /// Makes sure that no row written so far can be lost.
    ///
    /// # Errors
    ///
    /// If writing fails. The work then stops.
    fn flush(&mut self) -> io::Result<()>;
}

/// Writes each reject as a JSON line:
/// `{"kind":…,"key":[…],"outcome":…,"reason":…,"row":…}`, the row as in an archive or `null`.
#[derive(Debug)]
pub struct JsonLinesRejects<W> {
    writer: W,
    line: Vec<u8>,
}

impl<W: Write + Send> JsonLinesRejects<W> {
    /// Writes to `writer`, a line at a time.
    pub fn new(writer: W) -> Self {
        Self { writer, line: Vec::new() }
    }

    /// The writer again.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

impl<W: Write + Send> RejectSink for JsonLinesRejects<W> {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        self.line.clear();
        let mut line = Object::begin(&mut self.line);
        line.text("kind", reject.issue.kind().as_str());
        line.texts("key", &reject.issue.key.to_parts());
        line.text("outcome", reject.outcome.as_str());
        line.text("reason", &reject.issue.reason);
        match reject.row {
            Some(row) => line.raw("row", |out| write_row(out, row)),
            None => line.null("row"),
        }
        line.end();
        self.line.push(b'\n');
        self.writer.write_all(&self.line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
