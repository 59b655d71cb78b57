use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use vestige_traits::MemoryStore;
use vestige_traits::transfer::TransferKind;

use super::header::{FIRST_VERSION, version_for, write_closing, write_header};
use crate::error::{MigrateError, MigrateResult};
use crate::inventory::Inventory;
use crate::limits::DEFAULT_PAGE_ROWS;
use crate::progress::{Phase, Progress, Reporter};
use crate::rejects::{Reject, RejectOutcome, RejectSink};
use crate::rows::{Pages, Rows, StoreRows};
use crate::sqlite_file::sqlite_file;

/// How often a file is written anew because the store changed meanwhile.
const ATTEMPTS: u32 = 3;

/// Writes everything that a store holds as an archive.
///
/// The store is read twice: once to count and to digest, once to write. If
/// both readings differ, the store was written to meanwhile. The archive would
/// mix two states, so it gets no closing line. Memory use does not grow with the
/// number of rows.
///
/// Writing blocks, page by page: where that matters, run the future on a
/// thread of its own.
#[derive(Debug)]
pub struct Exporter<'a, S> {
    store: &'a S,
    page_rows: usize,
    reporter: Reporter<'a>,
    rejects: Option<Rejects<'a>>,
}

struct Rejects<'a>(&'a mut dyn RejectSink);

impl std::fmt::Debug for Rejects<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rejects")
    }
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The model, and counts and digests of each kind of row.
    #[serde(flatten)]
    pub inventory: Inventory,
    /// Rows that the store could not read, and that are therefore not in the archive.
    pub damaged: u64,
    /// The length of the archive.
    pub bytes: u64,
    /// BLAKE3 of every byte before the closing line, as the closing line has it.
    pub blake3: String,
}

impl<'a, S: MemoryStore + Sync> Exporter<'a, S> {
    /// An export of `store`.
    pub fn new(store: &'a S) -> Self {
        Self { store, page_rows: DEFAULT_PAGE_ROWS, reporter: Reporter::default(), rejects: None }
    }

    /// The most rows to read at once, clamped to 1 to
    /// [`MAX_BATCH`](vestige_traits::limits::MAX_BATCH).
    #[must_use]
    pub fn page_rows(mut self, rows: usize) -> Self {
        self.page_rows = crate::limits::page_rows(rows);
        self
    }

    /// Calls `callback` after every page.
    #[must_use]
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.reporter = Reporter::new(callback);
        self
    }

    /// Hands rows that cannot be read to `sink`.
    #[must_use]
    pub fn rejects(mut self, sink: &'a mut dyn RejectSink) -> Self {
        self.rejects = Some(Rejects(sink));
        self
    }

    /// Writes the archive to `writer` and flushes it.
    ///
    /// On an error `writer` holds a beginning that no program restores.
    ///
    /// # Errors
    ///
    /// [`MigrateError::SourceChanged`] if the store was written to meanwhile,
    /// [`MigrateError::Source`] if it fails, [`MigrateError::Io`] if `writer` does.
    pub async fn write(&mut self, writer: &mut (impl Write + Send)) -> MigrateResult<ExportReport> {
        let mut source = StoreRows { store: self.store, side: MigrateError::Source };
        let (version, expected) = self.measure(&mut source).await?;
        let mut out = Hashing::new(writer);
        let mut line = Vec::new();
        write_header(&mut line, version, &expected);
        out.write(&line)?;

        let mut written = Inventory { model: expected.model.clone(), ..Inventory::default() };
        let mut damaged = 0;
        let total = expected.counts.total();
        for kind in TransferKind::ALL {
            let mut pages = Pages::new(kind, None, self.page_rows);
            let mut write = |line: &[u8]| out.write(line).and_then(|()| out.write(b"\n"));
            while let Some(page) = pages.next_lines(&mut source, &mut write).await? {
                page.rows.iter().for_each(|row| written.add(kind, &row.line));
                damaged += page.damaged.len() as u64;
                if let Some(Rejects(sink)) = &mut self.rejects {
                    for issue in &page.damaged {
                        sink.reject(&Reject { outcome: RejectOutcome::Damaged, issue, row: None })
                            .map_err(MigrateError::io("cannot write the rejects"))?;
                    }
                }
                self.reporter.report(Phase::Exporting, written.counts.total(), total);
            }
        }
        if let Some(Rejects(sink)) = &mut self.rejects {
            sink.flush().map_err(MigrateError::io("cannot write the rejects"))?;
        }
        if written != expected || source.model().await? != expected.model {
            return Err(MigrateError::SourceChanged);
        }
        let blake3 = out.hasher.finalize().to_hex().to_string();
        line.clear();
        write_closing(&mut line, &written.digests, &blake3);
        out.write(&line)?;
        let bytes = out.bytes;
        out.writer.flush().map_err(MigrateError::io("cannot write the archive"))?;
        tracing::info!(rows = total, bytes, damaged, "archive written");
        Ok(ExportReport { inventory: written, damaged, bytes, blake3 })
    }

    /// Writes the archive to a file, which appears whole or not at all and replaces an older one.
    ///
    /// A store that is written to meanwhile is read again, three times in all. If `path` is a
    /// link, the file that it leads to is replaced. A pipe or a device is written to once.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); [`MigrateError::Io`] also if `path` is a folder, or a file of
    /// SQLite's ([`sqlite_file`]), which an archive does not replace.
    pub async fn write_file(&mut self, path: &Path) -> MigrateResult<ExportReport> {
        let what = || format!("cannot write {}", path.display());
        let path = match destination(path).map_err(MigrateError::io(what()))? {
            Destination::File(path) => path,
            Destination::Stream(file) => {
                return self.write(&mut io::BufWriter::with_capacity(1 << 18, file)).await;
            }
        };
        let folder = folder_of(&path);
        let mut attempt = 1;
        loop {
            // A temporary file is readable by its owner alone, and so is the archive it becomes.
            let file = tempfile::NamedTempFile::new_in(folder).map_err(MigrateError::io(what()))?;
            let mut writer = io::BufWriter::with_capacity(1 << 18, file);
            let report = match self.write(&mut writer).await {
                Err(MigrateError::SourceChanged) if attempt < ATTEMPTS => {
                    attempt += 1;
                    tracing::warn!(attempt, "the store was written to meanwhile, exporting again");
                    continue;
                }
                report => report?,
            };
            let file = writer.into_inner().map_err(|error| MigrateError::io(what())(error.into_error()))?;
            file.as_file().sync_all().map_err(MigrateError::io(what()))?;
            file.persist(&path).map_err(|error| MigrateError::io(what())(error.error))?;
            sync_folder(folder);
            return Ok(report);
        }
    }

    /// The version that the archive needs, and what it will hold.
    async fn measure(&mut self, source: &mut impl Rows) -> MigrateResult<(u64, Inventory)> {
        let total = source.counts().await?.total();
        let mut inventory = Inventory { model: source.model().await?, ..Inventory::default() };
        let mut version = FIRST_VERSION;
        for kind in TransferKind::ALL {
            let mut pages = Pages::new(kind, None, self.page_rows);
            while let Some(page) = pages.next(source).await? {
                for row in &page.rows {
                    inventory.add(kind, &row.line);
                    version = version.max(version_for(&row.row));
                }
                self.reporter.report(Phase::Measuring, inventory.counts.total(), total);
            }
        }
        Ok((version, inventory))
    }
}

enum Destination<'p> {
    /// A file that is there or not, under its own name.
    File(Cow<'p, Path>),
    /// A pipe or a device, opened.
    Stream(File),
}

/// What a path leads to, and whether an archive may go there.
fn destination(path: &Path) -> io::Result<Destination<'_>> {
    // The store itself, if somebody mistakes one argument for the other.
    if let Some(what) = sqlite_file(path) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("it is {what}, which an archive does not replace; name another file"),
        ));
    }
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            if !folder.exists() {
                let missing =
                    format!("there is no folder {}; make it, or name another file", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, missing));
            }
            return Ok(Destination::File(path.into()));
        }
        found => found?,
    };
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return File::options().write(true).open(path).map(Destination::Stream);
    }
    fs::canonicalize(path).map(|path| Destination::File(path.into()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the new name of the file durable. Not every system can open a folder, and then its file
/// system sees to that by itself.
fn sync_folder(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "the folder of the archive was not synchronised");
    }
}

struct Hashing<'w, W> {
    writer: &'w mut W,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<'w, W: Write> Hashing<'w, W> {
    fn new(writer: &'w mut W) -> Self {
        Self { writer, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn write(&mut self, line: &[u8]) -> MigrateResult<()> {
        self.hasher.update(line);
        self.bytes += line.len() as u64;
        self.writer.write_all(line).map_err(MigrateError::io("cannot write the archive"))
    }
}
