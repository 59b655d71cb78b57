//! The files that a command writes beside the memory: reports and rejects.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use vestige_migrate::sqlite_file;

use crate::failure::{CommandResult, Failure};

/// Refuses a file to write that is one of those the command works on, which would be lost, or another store,
/// or that cannot be written: better before the work than after it.
///
/// `flag` names it, and `in_use` says of each of the others what it is.
pub(crate) fn check(flag: &str, path: &Path, in_use: &[(&str, &Path)]) -> CommandResult {
    if let Some((what, _)) = in_use.iter().find(|(_, other)| same_file(path, other)) {
        return Err(Failure::usage(format!("{flag} {}: this is {what}; name another file", path.display())));
    }
    match sqlite_file(path) {
        Some(what) => Err(Failure::usage(format!(
            "{flag} {}: this is {what}, which neither a report nor rejects go into; name another file",
            path.display()
        ))),
        None => try_to_write(path).map_err(|error| {
            Failure::message(format!("{flag} {}: {error}; name a file that can be written", path.display()))
        }),
    }
}

/// Opens the file for writing, and leaves everything as it was. A pipe would take the end of that for its own
/// end, so of devices and pipes it is not known before.
fn try_to_write(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path);
    if found.as_ref().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    OpenOptions::new().append(true).create(true).open(path)?;
    // Of a link that leads nowhere, what it leads to was made.
    if found.is_err() { fs::remove_file(fs::canonicalize(path)?) } else { Ok(()) }
}

/// Whether both names lead to one file, or to the place of one that is not there yet. What is written to a
/// device or a pipe replaces nothing.
fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(of_a), Ok(of_b)) => of_a.is_file() && of_b.is_file() && same_inode((a, &of_a), (b, &of_b)),
        (Err(_), Err(_)) => place(a).is_some_and(|a| place(b) == Some(a)),
        _ => false,
    }
}

#[cfg(unix)]
fn same_inode((_, a): (&Path, &Metadata), (_, b): (&Path, &Metadata)) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_inode((a, _): (&Path, &Metadata), (b, _): (&Path, &Metadata)) -> bool {
    fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// Where a file that is not there would be made.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
}
