//! Whether a write-ahead log belongs to the file that it lies beside.
//!
//! SQLite takes the log beside a file for a part of it. If a program crashes and a backup is then put in the
//! place of the file, the log that was left over is still there. SQLite cannot tell, so the table `log_state`
//! says which state of the file a log goes on from.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::map;
use crate::{file, schema};

/// How every state begins, so that a page of another table is not taken for one.
const PREFIX: &str = "log-";
/// A page may be read while another process writes it, so what does not fit is read again.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

/// Notes the first write into an empty log. Nobody else writes, or empties the log, during `tx`.
pub(crate) fn begin(tx: &Transaction<'_>, path: &Path) -> MemoryStoreResult<()> {
    if file::is_at_rest(path) {
        tx.prepare_cached("UPDATE log_state SET before = state, state = 'log-' || hex(randomblob(16))")
            .and_then(|mut statement| statement.execute([]))
            .map_err(map)?;
    }
    Ok(())
}

/// Makes a copy of the file another file: a log of the first one does not belong to it.
pub(crate) fn detach(copy: &Connection) -> rusqlite::Result<()> {
    const SQL: &str = "UPDATE log_state SET before = NULL, state = 'log-' || hex(randomblob(16))";
    copy.execute(SQL, []).map(drop)
}

/// Refuses a file beside which the log of another one lies. Changes neither.
pub(crate) fn check(connection: &Connection, path: &Path) -> MemoryStoreResult<()> {
    let Some(alone) = file::immutable_uri(path) else { return Ok(()) };
    for _ in 0..ATTEMPTS {
        if file::is_at_rest(path) || fits(connection, &alone).unwrap_or(true) {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    let log = file::side_file(path, "-wal");
    Err(MemoryStoreError::Unavailable {
        reason: format!(
            "{log} lies beside {file} and is the log of another file, left over by a program that was killed; \
             copy both to a safe place; then, to open {file} as it is, move {log} away; if {file} was put there by mistake, put the other one back",
            log = log.display(),
            file = path.display()
        ),
        retryable: false,
        source: None,
    })
}

/// What is known of a file's state.
enum State {
    /// It has none: it is of an older version, or new.
    None,
    /// The present one, and the one before.
    Known(String, Option<String>),
}

/// Whether the file without its log has a state that the log goes on from. Also true where that is not known.
fn fits(connection: &Connection, alone: &str) -> rusqlite::Result<bool> {
    // As long as this is read from, nobody empties the log.
    let view = connection.unchecked_transaction()?;
    let State::Known(state, before) = read(&view)? else { return Ok(true) };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let alone = Connection::open_with_flags(alone, flags)?;
    Ok(match read(&alone)? {
        // Where a log is just being brought into the file, a part of the schema may be new and the rest old.
        State::None => before.is_none() || has_table_by_its_version(&alone)?,
        State::Known(alone, _) => alone == state || Some(alone) == before,
    })
}

fn has_table_by_its_version(alone: &Connection) -> rusqlite::Result<bool> {
    let version: i64 = alone.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version >= schema::WITH_LOG_STATE)
}

fn read(connection: &Connection) -> rusqlite::Result<State> {
    let has_table = "SELECT 1 FROM sqlite_schema WHERE name = 'log_state'";
    if connection.query_row(has_table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(State::None);
    }
    let (state, before): (String, Option<String>) =
        connection
            .query_row("SELECT state, before FROM log_state", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A file into which a log is being brought may have pages in the wrong places.
    if !state.starts_with(PREFIX) {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error {
                code: ErrorCode::DatabaseCorrupt,
                extended_code: rusqlite::ffi::SQLITE_CORRUPT,
            },
            None,
        ));
    }
    Ok(State::Known(state, before))
}
