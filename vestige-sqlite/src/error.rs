use std::path::Path;

use rusqlite::{Error, ErrorCode};
use vestige_traits::MemoryStoreError;

use crate::holders;

/// The backend's name in [`MemoryStoreError::Backend`].
pub(crate) const BACKEND: &str = "sqlite";

/// What SQLite said, in the words of the trait. Constraints that mean something
/// to a caller are checked where they arise; those that reach this module are the store's own fault.
pub(crate) fn map(error: Error) -> MemoryStoreError {
    let retryable = match error.sqlite_error_code() {
        // The third: too many processes began to read at the same moment.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            true
        }
        Some(ErrorCode::ReadOnly) => return MemoryStoreError::ReadOnly,
        Some(ErrorCode::DiskFull) => return unavailable("its disk is full; free some space", error),
        Some(ErrorCode::SystemIoFailure) => {
            return unavailable("its disk cannot be read or written; check its space and its health", error);
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return MemoryStoreError::Damaged {
                what: "the database file".to_owned(),
                reason: "SQLite finds it damaged; restore a backup or an archive".to_owned(),
                source: Some(Box::new(error)),
            };
        }
        _ => false,
    };
    MemoryStoreError::backend(BACKEND, error, retryable)
}

/// As [`map`], for what happens while `path` is being opened.
pub(crate) fn map_open(path: &Path, error: Error) -> MemoryStoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => damaged(path, "it is not an SQLite database", error),
        Some(ErrorCode::DatabaseCorrupt) => {
            damaged(path, "SQLite finds it damaged; restore a backup or an archive", error)
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            let reason = format!(
                "{} cannot be opened; check that the path exists and may be read or written",
                path.display()
            );
            unavailable(&reason, without_words(error))
        }
        Some(ErrorCode::ReadOnly) => {
            unavailable(&format!("{} or its folder may not be written", path.display()), error)
        }
        Some(ErrorCode::DiskFull) => unavailable(&format!("the disk of {} is full", path.display()), error),
        _ => map(error),
    }
}

/// Says who holds the lock that an operation has waited for in vain.
pub(crate) fn name_holder(error: MemoryStoreError, path: &Path) -> MemoryStoreError {
    let MemoryStoreError::Backend { source, retryable: true, .. } = &error else { return error };
    let driver = source.downcast_ref::<Error>().and_then(Error::sqlite_error_code);
    if !matches!(driver, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) {
        return error;
    }
    let holder = match holders::of(path) {
        Some(processes) => format!("process {processes} holds the lock: let it go on, or end it"),
        None => "another program holds the lock: let it go on, or end it".to_owned(),
    };
    MemoryStoreError::Unavailable {
        reason: format!("{} is locked; {holder}, and try again", path.display()),
        retryable: true,
        source: match error {
            MemoryStoreError::Backend { source, .. } => Some(source),
            _ => None,
        },
    }
}

/// The code alone: the words name the file again, as the URI that it was tried by.
fn without_words(error: Error) -> Error {
    match error {
        Error::SqliteFailure(code, _) => Error::SqliteFailure(code, None),
        other => other,
    }
}

/// Whether a row is damaged, of a file that is whole.
pub(crate) fn is_of_a_row(error: &MemoryStoreError) -> bool {
    let MemoryStoreError::Damaged { source, .. } = error else { return false };
    let driver = source.as_ref().and_then(|source| source.downcast_ref::<Error>());
    driver.is_none_or(|error| error.sqlite_error_code() != Some(ErrorCode::DatabaseCorrupt))
}

/// A stored value that cannot be what its column says.
pub(crate) fn bad_value(column: &'static str, reason: impl Into<String>) -> MemoryStoreError {
    MemoryStoreError::Damaged { what: format!("a value of {column}"), reason: reason.into(), source: None }
}

fn damaged(path: &Path, reason: &str, error: Error) -> MemoryStoreError {
    MemoryStoreError::Damaged {
        what: path.display().to_string(),
        reason: reason.to_owned(),
        source: Some(Box::new(error)),
    }
}

fn unavailable(reason: &str, error: Error) -> MemoryStoreError {
    MemoryStoreError::Unavailable {
        reason: reason.to_owned(),
        retryable: false,
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn mapped(code: i32) -> MemoryStoreError {
        map(Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn busy_and_locked_can_be_tried_again() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_LOCKED] {
            assert!(mapped(code).is_retryable(), "{code}");
        }
        assert!(!mapped(ffi::SQLITE_ERROR).is_retryable());
    }

    #[test]
    fn each_code_has_its_kind() {
        assert!(matches!(mapped(ffi::SQLITE_READONLY), MemoryStoreError::ReadOnly));
        assert!(matches!(mapped(ffi::SQLITE_FULL), MemoryStoreError::Unavailable { .. }));
        assert!(matches!(mapped(ffi::SQLITE_IOERR), MemoryStoreError::Unavailable { .. }));
        assert!(matches!(mapped(ffi::SQLITE_CORRUPT), MemoryStoreError::Damaged { .. }));
        assert!(matches!(mapped(ffi::SQLITE_NOTADB), MemoryStoreError::Damaged { .. }));
        assert!(matches!(mapped(ffi::SQLITE_MISUSE), MemoryStoreError::Backend { name: "sqlite", .. }));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named_once_and_as_it_was_given() {
        let said = Some("unable to open database file: file:/home/ada/m.db?immutable=1".to_owned());
        let error = Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), said);
        let error = map_open(Path::new("/home/ada/m.db"), error);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let said = format!("{error} {cause}");
        assert!(said.contains("may be read or written") && !said.contains("file:"), "{said}");
        assert_eq!(said.matches("m.db").count(), 1, "{said}");
    }

    #[test]
    fn the_driver_error_can_be_downcast() {
        let MemoryStoreError::Backend { source, .. } = mapped(ffi::SQLITE_BUSY) else {
            panic!("not SQLite's")
        };
        let error = source.downcast::<Error>().expect("rusqlite's error");
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    }
}
