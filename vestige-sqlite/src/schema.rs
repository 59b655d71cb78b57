use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::map_open;

/// `PRAGMA application_id` of every Vestige file: "VSTG".
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"VSTG");

/// Each step leads from the version that is its index to the next; `PRAGMA user_version` counts them.
const STEPS: [fn(&Transaction<'_>) -> rusqlite::Result<()>; 4] = [
    |tx| tx.execute_batch(include_str!("sql/0001_init.sql")),
    |tx| tx.execute_batch(include_str!("sql/0002_append_only.sql")),
    |tx| tx.execute_batch(include_str!("sql/0003_analysis.sql")),
    |tx| tx.execute_batch(include_str!("sql/0004_terms_of_every_script.sql")),
];

/// The schema version that this program writes.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

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

/// Refuses whatever this program cannot read as it is: also an older version. For stores that are only read.
pub(crate) fn check(connection: &Connection, path: &Path) -> MemoryStoreResult<()> {
    refuse_foreign(connection, path)?;
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| map_open(path, error))?;
    if version == VERSION {
        return Ok(());
    }
    let reason = match version {
        0 => "it is empty".to_owned(),
        _ => format!("it has schema version {version} and needs {VERSION}; open it for writing once"),
    };
    Err(MemoryStoreError::Damaged { what: path.display().to_string(), reason, source: None })
}

/// Brings the schema to [`VERSION`], step by step, in one transaction. Safe with any number of processes.
pub(crate) fn upgrade(connection: &mut Connection, path: &Path) -> MemoryStoreResult<()> {
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
        _ => Ok(()),
    }
}
