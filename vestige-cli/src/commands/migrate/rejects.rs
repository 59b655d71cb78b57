//! The file of rows that were not moved.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use vestige_migrate::{JsonLinesRejects, Reject, RejectSink};

use crate::output;

/// How many rows are named on stderr.
const NAMED: u64 = 20;

/// Names the first rows that were not moved, and appends all of them to a file.
pub(in crate::commands) struct RejectFile {
    /// None where rows are only named, such as by a plan, which writes only where it is told to.
    path: Option<PathBuf>,
    file: Option<JsonLinesRejects<File>>,
    pub(super) count: u64,
}

impl RejectFile {
    pub(in crate::commands) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: None, count: 0 }
    }

    /// Where rows were written to; none if none were.
    pub(super) fn written_to(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.file.is_some())
    }
}

impl RejectSink for RejectFile {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        let issue = reject.issue;
        self.count += 1;
        if self.count <= NAMED {
            output::warning(&format!("{} {}: {}: {}", issue.kind(), issue.key, reject.outcome, issue.reason));
        } else if self.count == NAMED + 1 {
            output::warning("and more");
        }
        let Some(path) = &self.path else { return Ok(()) };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(JsonLinesRejects::new(open(path)?)),
        };
        file.reject(reject)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some(file) => {
                let file = file.into_inner();
                file.sync_data()?;
                self.file = Some(JsonLinesRejects::new(file));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// It holds memories, so nobody else may read it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
