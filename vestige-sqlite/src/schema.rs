mod objects;

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::map_open;
use objects::Object;

pub(crate) use objects::Difference;

/// `PRAGMA application_id` of every Vestige file: "VSTG".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"VSTG");

/// Each step leads from the version that is its index to the next; `PRAGMA user_version` counts them.
const STEPS: [fn(&Transaction<'_>) -> rusqlite::Result<()>; 6] = [
    |tx| tx.execute_batch(include_str!("sql/0001_init.sql")),
    |tx| tx.execute_batch(include_str!("sql/0002_append_only.sql")),
    |tx| tx.execute_batch(include_str!("sql/0003_analysis.sql")),
    |tx| tx.execute_batch(include_str!("sql/0004_terms_of_every_script.sql")),
    |tx| tx.execute_batch(include_str!("sql/0005_log_state.sql")),
    |tx| tx.execute_batch(include_str!("sql/0006_session.sql")),
];

/// The schema version that this program writes.
pub(crate) const VERSION: i64 = STEPS.len() as i64;
/// The oldest version that can be read as it is.
const READABLE: i64 = 4;
/// From this version on there is the table `log_state`.
pub(crate) const WITH_LOG_STATE: i64 = 5;
/// From this version on a memory has the column `session`.
const WITH_SESSION: i64 = 6;

/// Refuses a database of another program, or of a newer Vestige. Writes nothing.
pub(crate) fn refuse_foreign(connection: &Connection, path: &Path) -> MemoryStoreResult<()> {
    // One view: another process may be making its tables at this moment.
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let view = connection.unchecked_transaction()?;
        let pragma = |name: &str| view.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let tables = view.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let (application, version, tables) = read().map_err(|error| map_open(path, error))?;
    // Vestige writes its mark, its version and its tables in one transaction.
    if application != i64::from(APPLICATION_ID) && (tables > 0 || version != 0) {
        return Err(MemoryStoreError::Damaged {
            what: path.display().to_string(),
            reason: "it is an SQLite database of another program; choose another path".to_owned(),
            source: None,
        });
    }
    if version > VERSION {
        return Err(MemoryStoreError::SchemaTooNew { found: version, supported: VERSION });
    }
    Ok(())
}

/// What a connection for writing has instead of the schema's own triggers, which it does not run: the log of
/// reviews is append only to this program too.
pub(crate) const GUARDS: &str = "
    CREATE TEMP TRIGGER review_log_never_updated BEFORE UPDATE ON main.review_events
    BEGIN SELECT RAISE(ABORT, 'the review log is append only'); END;
    CREATE TEMP TRIGGER review_log_never_deleted BEFORE DELETE ON main.review_events
    BEGIN SELECT RAISE(ABORT, 'the review log is append only'); END;";

/// Lets a connection for reading read a memory of an older version as one of this: without a session. Once
/// the file is brought to this version, the view shows what the table has: of two columns of one name the
/// first is meant.
pub(crate) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version >= WITH_SESSION {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP VIEW knowledge_nodes AS SELECT *, NULL AS session FROM main.knowledge_nodes",
    )
}

/// What a schema of this version consists of.
fn expected(version: i64) -> rusqlite::Result<Vec<Object>> {
    let mut connection = Connection::open_in_memory()?;
    let tx = connection.transaction()?;
    for step in STEPS.iter().take(usize::try_from(version).unwrap_or(0)) {
        step(&tx)?;
    }
    objects::all(&tx)
}

/// How the schema differs from the one that Vestige makes at the version of the file.
pub(crate) fn differences(connection: &Connection) -> rusqlite::Result<Vec<Difference>> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(objects::differences(&expected(version)?, objects::all(connection)?))
}

/// Refuses to write where the schema would have something else stored than what is given. Writes nothing.
pub(crate) fn refuse_changed(connection: &Connection, path: &Path) -> MemoryStoreResult<()> {
    let read = || {
        let view = connection.unchecked_transaction()?;
        differences(&view)
    };
    let mut found = read().map_err(|error| map_open(path, error))?;
    found.retain(Difference::changes_writes);
    let Some(first) = found.first() else { return Ok(()) };
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more, see `vestige doctor`)"),
    };
    let remedy = match first.removal() {
        Some(statement) => format!("to remove it, run `{statement}` in the sqlite3 program"),
        None => "restore a backup, or export what it holds and restore that into a new file".to_owned(),
    };
    Err(MemoryStoreError::Unavailable {
        reason: format!(
            "{} is not written to: {first} and could change what is stored{more}; {remedy}",
            path.display()
        ),
        retryable: false,
        source: None,
    })
}

/// Makes the indexes and triggers anew that are missing or not as Vestige makes them.
pub(crate) fn mend(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let expected = expected(VERSION)?;
    for difference in objects::differences(&expected, objects::all(tx)?) {
        if !difference.is_mended_by_rebuilding() {
            continue;
        }
        if let Some(removal) = difference.drop_statement() {
            tx.execute_batch(&removal)?;
        }
        if let Some(own) = expected.iter().find(|own| difference.is_of(own)) {
            tx.execute_batch(own.sql())?;
        }
    }
    Ok(())
}

/// Refuses whatever this program cannot read as it is: also most older versions. For stores that are only
/// read.
pub(crate) fn check(connection: &Connection, path: &Path) -> MemoryStoreResult<()> {
    refuse_foreign(connection, path)?;
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| map_open(path, error))?;
    if (READABLE..=VERSION).contains(&version) {
        return Ok(());
    }
    let reason = match version {
        0 => "it is empty".to_owned(),
        _ => format!("it has schema version {version} and needs {VERSION}; open it for writing once"),
    };
    Err(MemoryStoreError::Damaged { what: path.display().to_string(), reason, source: None })
}

/// Brings the schema to [`VERSION`], step by step, in one transaction. Safe with any number of processes.
/// Says whether there was anything to do.
pub(crate) fn upgrade(connection: &mut Connection, path: &Path) -> MemoryStoreResult<bool> {
    let mut run = || -> rusqlite::Result<i64> {
        let current: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if current == VERSION {
            return Ok(current);
        }
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        let current: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for step in STEPS.iter().skip(usize::try_from(current).unwrap_or(usize::MAX)) {
            step(&tx)?;
        }
        if current < VERSION {
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        tx.commit()?;
        Ok(current)
    };
    match run().map_err(|error| map_open(path, error))? {
        newer if newer > VERSION => Err(MemoryStoreError::SchemaTooNew { found: newer, supported: VERSION }),
        before => Ok(before < VERSION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_every_version_has_no_difference_before_and_after_its_upgrade() {
        for version in 0..=VERSION {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in STEPS.iter().take(usize::try_from(version).unwrap()) {
                let tx = connection.transaction().unwrap();
                step(&tx).unwrap();
                tx.commit().unwrap();
            }
            connection.pragma_update(None, "user_version", version).unwrap();
            assert_eq!(differences(&connection).unwrap(), [], "{version}");
            upgrade(&mut connection, Path::new("m.db")).unwrap();
            assert_eq!(differences(&connection).unwrap(), [], "{version}");
        }
    }
}
