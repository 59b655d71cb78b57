use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use vestige_traits::ModelSignature;
use vestige_traits::transfer::{TransferKey, TransferKind, TransferPage, TransferRow};

use super::header::{self, FIRST_VERSION, read_closing, read_header, version_for};
use super::lines::Lines;
use crate::canonical::parse_row;
use crate::error::{MigrateError, MigrateResult};
use crate::inventory::{Inventory, LineDigest, PerKind};
use crate::progress::{Phase, Progress, Reporter};
use crate::rows::{PAGE_BYTES, Rows};

/// An archive that was checked from its first byte to its last.
///
/// Opening it reads the whole file, and blocks meanwhile: every line must be
/// a row in canonical form, in its place in the order; counts and digests must
/// agree; nothing may be missing and nothing may follow. So what comes out of
/// it afterwards is what was put in.
pub struct Archive<R> {
    lines: Lines<BufReader<R>>,
    inventory: Inventory,
    blake3: String,
    starts: PerKind<Place>,
    /// The row above the next line, where a page ended there; none if the reader stands elsewhere.
    position: Option<(TransferKind, TransferKey)>,
    held: Option<TransferRow>,
}

/// Where the rows of a kind begin: the offset, and the number of the line before.
#[derive(Clone, Copy, Default)]
struct Place {
    offset: u64,
    line: u64,
}

impl Archive<File> {
    /// Opens and checks the archive in a file. A pipe or a device is copied first, as by
    /// [`spool`](Self::spool).
    ///
    /// # Errors
    ///
    /// [`MigrateError::Archive`] with the first line that is wrong, and why;
    /// [`MigrateError::ArchiveTooNew`]; [`MigrateError::Io`] naming `path`.
    pub fn open(path: &Path) -> MigrateResult<Self> {
        Self::open_with(path, |_| {})
    }

    /// As [`open`](Self::open), and calls `callback` with the rows that are checked.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, callback: impl FnMut(&Progress) + Send) -> MigrateResult<Self> {
        let named = |error| match error {
            MigrateError::Io { what, source } => {
                MigrateError::Io { what: format!("{}: {what}", path.display()), source }
            }
            error => error,
        };
        let cannot_read = || MigrateError::io(format!("cannot read {}", path.display()));
        let mut file = File::open(path).map_err(cannot_read())?;
        let found = file.metadata().map_err(cannot_read())?;
        if found.is_dir() {
            return Err(cannot_read()(io::ErrorKind::IsADirectory.into()));
        }
        let archive =
            if found.is_file() { Self::check(file, callback) } else { Self::spool(&mut file, callback) };
        archive.map_err(named)
    }

    /// Copies a stream that cannot be read twice, such as standard input, to a temporary file,
    /// and checks it there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn spool(reader: &mut impl Read, callback: impl FnMut(&Progress) + Send) -> MigrateResult<Self> {
        let mut file =
            tempfile::tempfile().map_err(MigrateError::io("cannot make a temporary file for the archive"))?;
        io::copy(reader, &mut file)
            .map_err(MigrateError::io("cannot copy the archive to a temporary file"))?;
        Self::check(file, callback)
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Checks the archive in `reader`, from its beginning.
    ///
    /// # Errors
    ///
    /// As [`open`](Archive::open).
    pub fn new(reader: R) -> MigrateResult<Self> {
        Self::check(reader, |_| {})
    }

    fn check(mut reader: R, callback: impl FnMut(&Progress) + Send) -> MigrateResult<Self> {
        reader.rewind().map_err(MigrateError::io("cannot read the archive"))?;
        let mut reporter = Reporter::new(callback);
        let mut lines = Lines::new(BufReader::with_capacity(1 << 18, reader));
        let mut hasher = blake3::Hasher::new();
        let mut scratch = Vec::new();

        let Some(line) = lines.next()? else {
            return Err(MigrateError::archive(1, "is missing: the archive is empty"));
        };
        let header = read_header(line.strip_suffix(b"\n").unwrap_or(line))?;
        hasher.update(line);
        let total = header.counts.total();
        let mut inventory = Inventory { model: header.model.clone(), ..Inventory::default() };
        let mut starts = PerKind::<Place>::default();
        let mut order = Order::default();
        let mut needed = FIRST_VERSION;

        let closing = loop {
            let place = Place { offset: lines.offset, line: lines.number };
            let Some(whole) = lines.next()? else {
                return Err(MigrateError::archive(
                    lines.number + 1,
                    "the closing line is missing: the archive is truncated; fetch it again or take another copy",
                ));
            };
            let line = &whole[..whole.len() - 1];
            if header::is_closing(line) {
                order.unseen_before(None).for_each(|kind| starts[kind] = place);
                break read_closing(line, place.line + 1)?;
            }
            let wrong = |reason: String| MigrateError::archive(place.line + 1, reason);
            let row = parse_row(line, &mut scratch).map_err(wrong)?;
            needed = needed.max(version_for(&row));
            if needed > header.version {
                return Err(wrong(format!(
                    "needs version {needed} of the format and the header says {}: the archive was altered; take \
                     another copy",
                    header.version
                )));
            }
            let kind = row.kind();
            order.unseen_before(Some(kind)).for_each(|kind| starts[kind] = place);
            order.advance(kind, row.key()).map_err(wrong)?;
            inventory.add(kind, &LineDigest::of(line));
            hasher.update(whole);
            let done = inventory.counts.total();
            if done.is_multiple_of(1024) {
                reporter.report(Phase::Checking, done, total);
            }
        };
        reporter.report(Phase::Checking, inventory.counts.total(), total);
        let end = lines.number;
        let wrong = |reason: String| Err(MigrateError::archive(end, reason));
        if needed < header.version {
            return wrong(format!(
                "the header says version {} of the format, of which no row has need: the archive was altered; take \
                 another copy",
                header.version
            ));
        }
        for (kind, &found) in inventory.counts.iter() {
            let stated = header.counts[kind];
            if found != stated {
                return wrong(format!(
                    "the archive holds {found} rows of kind {kind} and its header says {stated}: it was altered; \
                     take another copy"
                ));
            }
        }
        for (kind, found) in inventory.digests.iter() {
            if *found != closing.digests[kind] {
                return wrong(format!(
                    "the digest of the {kind} rows is not that of the closing line: the archive was altered; \
                     take another copy"
                ));
            }
        }
        let blake3 = hasher.finalize().to_hex().to_string();
        if blake3 != closing.blake3 {
            return wrong(
                "the hash of the archive is not that of its closing line: it was altered; take another copy"
                    .to_owned(),
            );
        }
        if lines.next()?.is_some() {
            return Err(MigrateError::archive(
                lines.number,
                "follows the closing line: the archive was altered; take another copy",
            ));
        }
        Ok(Self { lines, inventory, blake3, starts, position: None, held: None })
    }

    /// What it holds: the model, and counts and digests of each kind of row.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// BLAKE3 of every byte before the closing line, in lowercase hexadecimal: the archive's identity.
    pub fn blake3(&self) -> &str {
        &self.blake3
    }

    fn read_page(
        &mut self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MigrateResult<TransferPage> {
        let here = self.position.as_ref().is_some_and(|(k, key)| *k == kind && after == Some(key));
        if !here {
            let start = self.starts[kind];
            self.lines.seek(start.offset, start.line)?;
            self.held = None;
        }
        self.position = None;
        let mut rows = Vec::with_capacity(limit.min(1024));
        let (mut next, begin) = (None, self.lines.offset);
        while let Some(row) = self.next_row()? {
            if row.kind() != kind {
                if row.kind() > kind {
                    self.held = Some(row);
                    break;
                }
                continue;
            }
            if after.is_some_and(|after| row.key() <= *after) {
                continue;
            }
            rows.push(row);
            if rows.len() == limit || self.lines.offset - begin >= PAGE_BYTES as u64 {
                next = rows.last().map(TransferRow::key);
                break;
            }
        }
        self.position = next.clone().map(|next| (kind, next));
        Ok(TransferPage { rows, damaged: Vec::new(), next })
    }

    fn next_row(&mut self) -> MigrateResult<Option<TransferRow>> {
        if let Some(row) = self.held.take() {
            return Ok(Some(row));
        }
        let number = self.lines.number + 1;
        let Some(whole) = self.lines.next()? else {
            return Err(MigrateError::archive(
                number,
                "is gone: somebody changes the archive while it is read",
            ));
        };
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        if header::is_closing(line) {
            return Ok(None);
        }
        parse_row(line, &mut Vec::new()).map(Some).map_err(|reason| {
            MigrateError::archive(number, format!("{reason}: somebody changes the archive while it is read"))
        })
    }
}

impl<R> fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("blake3", &self.blake3).finish_non_exhaustive()
    }
}

impl<R: Read + Seek + Send> Rows for &mut Archive<R> {
    async fn model(&mut self) -> MigrateResult<Option<ModelSignature>> {
        Ok(self.inventory.model.clone())
    }

    async fn counts(&mut self) -> MigrateResult<PerKind<u64>> {
        Ok(self.inventory.counts)
    }

    async fn page(
        &mut self,
        kind: TransferKind,
        after: Option<&TransferKey>,
        limit: usize,
    ) -> MigrateResult<TransferPage> {
        self.read_page(kind, after, limit)
    }
}

/// The order of an archive: kinds in the order of import, keys ascending within each.
#[derive(Default)]
struct Order {
    last: Option<(TransferKind, TransferKey)>,
}

impl Order {
    /// The kinds whose rows would stand after what was seen and before what follows a row of `kind`,
    /// or before the end: theirs is the place of the line that comes now.
    fn unseen_before(&self, kind: Option<TransferKind>) -> impl Iterator<Item = TransferKind> + use<> {
        let last = self.last.as_ref().map(|(last, _)| *last);
        TransferKind::ALL
            .into_iter()
            .filter(move |&k| last.is_none_or(|last| k > last) && kind.is_none_or(|kind| k <= kind))
    }

    /// Takes the next row.
    fn advance(&mut self, kind: TransferKind, key: TransferKey) -> Result<(), String> {
        if let Some((last_kind, last_key)) = &self.last {
            if *last_kind > kind {
                return Err(format!(
                    "a {kind} stands after a {last_kind}: the archive was altered; take another copy"
                ));
            }
            if *last_kind == kind && *last_key >= key {
                let wrong = if *last_key == key { "repeats" } else { "stands before" };
                return Err(format!(
                    "the key of this {kind} {wrong} that of the line above: the archive was altered; \
                     take another copy"
                ));
            }
        }
        self.last = Some((kind, key));
        Ok(())
    }
}
