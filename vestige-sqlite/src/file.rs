//! The file as it lies, before SQLite opens it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use vestige_traits::{MemoryStoreError, MemoryStoreResult};

/// Refuses a path where no database can lie. SQLite would wait for a device, and call a folder a failing
/// disk.
pub(crate) fn refuse_what_is_no_file(path: &Path) -> MemoryStoreResult<()> {
    // To SQLite these are databases without a file, another one for each connection.
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        return Err(MemoryStoreError::invalid("path", "must name a file, such as one in a temporary folder"));
    }
    let reason = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "it is a folder, and a file is wanted",
        Ok(metadata) if !metadata.is_file() => "it is no regular file",
        // What is missing, or cannot be looked at, is told of when it is opened.
        _ => return Ok(()),
    };
    Err(MemoryStoreError::Damaged {
        what: path.display().to_string(),
        reason: reason.to_owned(),
        source: None,
    })
}

/// Makes a missing file, readable by its owner alone; SQLite gives its side files the same mode.
pub(crate) fn create_private(path: &Path) -> MemoryStoreResult<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(MemoryStoreError::Unavailable {
            reason: format!("{} cannot be created: {error}", path.display()),
            retryable: false,
            source: Some(Box::new(error)),
        }),
    }
}

/// Gives the side files the permissions that the file has now.
///
/// Reading a write-protected file creates write-protected side files. After the protection of the file itself
/// is removed, they would still prevent every write.
pub(crate) fn align_side_files(path: &Path) {
    let Ok(permissions) = fs::metadata(path).map(|metadata| metadata.permissions()) else { return };
    for name in ["-wal", "-shm"] {
        let side = side_file(path, name);
        let differs = fs::symlink_metadata(&side)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions() != permissions);
        if differs {
            // Those of another user stay, and SQLite says what it makes of them.
            let _ = fs::set_permissions(&side, permissions.clone());
        }
    }
}

/// Which file a path leads to.
///
/// A file that is removed or replaced while it is open can still be written, and what is written is lost when
/// it is closed: so every operation looks whether the path still leads to it.
pub(crate) struct Identity {
    path: PathBuf,
    number: Option<(u64, u64)>,
}

impl Identity {
    /// That of a file that has just been opened.
    pub(crate) fn of(path: &Path) -> Self {
        // The process may go to another folder; SQLite stays with the file.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { number: number(&path), path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on if the path leads somewhere else by now.
    pub(crate) fn check(&self) -> MemoryStoreResult<()> {
        if number(&self.path) == self.number {
            return Ok(());
        }
        Err(MemoryStoreError::Unavailable {
            reason: format!(
                "{} was removed or replaced while it was open; nothing was done: open the store again",
                self.path.display()
            ),
            retryable: false,
            source: None,
        })
    }
}

/// Whether both paths lead to one file that is there.
pub(crate) fn is_same(a: &Path, b: &Path) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b)),
    }
}

/// The inode of a file that is there.
pub(crate) fn inode(path: &Path) -> Option<u64> {
    number(path).map(|(_, inode)| inode)
}

/// Device and inode.
#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn number(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// Whether everything that was committed stands in the file itself: there is nothing in a write-ahead log.
pub(crate) fn is_at_rest(path: &Path) -> bool {
    match fs::metadata(side_file(path, "-wal")) {
        Ok(metadata) => metadata.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The URI by which SQLite reads a file that nobody writes: without locks, and without side files.
/// None where a path is no sequence of bytes.
#[cfg(unix)]
pub(crate) fn immutable_uri(path: &Path) -> Option<String> {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;

    let mut uri = "file:".to_owned();
    for &byte in std::path::absolute(path).ok()?.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            _ => write!(uri, "%{byte:02x}").ok()?,
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

/// The URI by which SQLite reads a file that nobody writes: without locks, and without side files.
/// None where a path is no sequence of bytes.
#[cfg(not(unix))]
pub(crate) fn immutable_uri(_path: &Path) -> Option<String> {
    None
}

/// The path of a file that SQLite keeps beside the database. A link to the database is followed.
pub(crate) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_file_is_refused() {
        for path in ["", ":memory:"] {
            let error = refuse_what_is_no_file(Path::new(path)).unwrap_err();
            assert!(matches!(error, MemoryStoreError::InvalidInput { .. }), "{error}");
        }
        let error = refuse_what_is_no_file(&std::env::temp_dir()).unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        assert!(refuse_what_is_no_file(Path::new("/no/such/file.db")).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_uri_escapes_what_a_uri_gives_a_meaning() {
        let uri = immutable_uri(Path::new("/a b/50%?#é.db"));
        assert_eq!(uri.as_deref(), Some("file:/a%20b/50%25%3f%23%c3%a9.db?immutable=1"));
    }
}
