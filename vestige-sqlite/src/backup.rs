//! A copy of the whole file as it is at one moment, while others read and write it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Rows};
use uuid::Uuid;
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::error::{map, map_open};
use crate::{cancellation, file, log};

/// How many pages are copied between two looks whether the caller still waits.
const PAGES_PER_STEP: i32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// Copies what `source` sees now to `to`, and compares every row. The copy appears whole or not at all.
/// `tag` makes the name of the file in which it grows.
pub(crate) fn write(source: &mut Connection, to: &Path, overwrite: bool, tag: Uuid) -> MemoryStoreResult<()> {
    refuse_taken(to, overwrite)?;
    let growing = Growing::create(to, tag)?;
    let view = source.unchecked_transaction().map_err(map)?;
    // The first read fixes what the view shows.
    view.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(map)?;
    let on_copy = |error| map_open(to, error);
    let mut copy =
        Connection::open_with_flags(&growing.0, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(on_copy)?;
    // Whatever triggers the file holds, they do not run.
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(on_copy)?;
    {
        let backup = Backup::new(&view, &mut copy).map_err(on_copy)?;
        loop {
            match backup.step(PAGES_PER_STEP).map_err(on_copy)? {
                StepResult::Done => break,
                StepResult::More => cancellation::check()?,
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
    // One file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "delete").map_err(on_copy)?;
    compare(&view, &copy, to)?;
    log::detach(&copy).map_err(on_copy)?;
    copy.close().map_err(|(_, error)| on_copy(error))?;
    growing.become_file(to, overwrite)
}

fn refuse_taken(to: &Path, overwrite: bool) -> MemoryStoreResult<()> {
    let taken = |reason: String| {
        let reason = format!("{} is not written: {reason}", to.display());
        Err(MemoryStoreError::Unavailable { reason, retryable: false, source: None })
    };
    if !overwrite && fs::symlink_metadata(to).is_ok() {
        return taken(
            "there is a file of that name; name another, or say that it may be overwritten".to_owned(),
        );
    }
    for beside in ["-wal", "-journal"].map(|suffix| file::side_file(to, suffix)) {
        // SQLite would take it for a part of the copy.
        if fs::symlink_metadata(&beside).is_ok() {
            let beside = beside.display();
            return taken(format!("{beside} beside it belongs to another database; name another file"));
        }
    }
    Ok(())
}

/// Compares all rows of all tables, in the order in which they lie.
fn compare(view: &Connection, copy: &Connection, to: &Path) -> MemoryStoreResult<()> {
    const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name";
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid".to_owned();
    let mut statements = vec![schema];
    let mut tables = view.prepare(TABLES).map_err(map)?;
    let names = tables.query_map([], |row| row.get::<_, String>(0)).map_err(map)?;
    for name in names {
        let name = name.map_err(map)?.replace('"', "\"\"");
        statements.push(format!("SELECT * FROM \"{name}\""));
    }
    for sql in statements {
        let (mut here, mut there) = (view.prepare(&sql).map_err(map)?, copy.prepare(&sql).map_err(map)?);
        let columns = here.column_count();
        let (mut here, mut there) = (here.query([]).map_err(map)?, there.query([]).map_err(map)?);
        if !same_rows(&mut here, &mut there, columns).map_err(map)? {
            return Err(MemoryStoreError::Damaged {
                what: to.display().to_string(),
                reason: "the copy does not hold what was copied, so it was removed; check the disk"
                    .to_owned(),
                source: None,
            });
        }
    }
    Ok(())
}

fn same_rows(here: &mut Rows<'_>, there: &mut Rows<'_>, columns: usize) -> rusqlite::Result<bool> {
    loop {
        let (here, there) = match (here.next()?, there.next()?) {
            (Some(here), Some(there)) => (here, there),
            (None, None) => return Ok(true),
            _ => return Ok(false),
        };
        for column in 0..columns {
            let (here, there): (ValueRef<'_>, ValueRef<'_>) = (here.get_ref(column)?, there.get_ref(column)?);
            if here != there {
                return Ok(false);
            }
        }
    }
}

/// A file that is not whole yet. It is removed if it does not become so.
struct Growing(PathBuf);

impl Growing {
    fn create(to: &Path, tag: Uuid) -> MemoryStoreResult<Self> {
        let Some(name) = to.file_name() else {
            return Err(MemoryStoreError::invalid("path", "must name a file"));
        };
        let name = format!(".{}.{tag}.partial", name.to_string_lossy());
        let path = to.with_file_name(name);
        file::create_private(&path)?;
        Ok(Self(path))
    }

    fn become_file(self, to: &Path, overwrite: bool) -> MemoryStoreResult<()> {
        let failed = |error: std::io::Error| MemoryStoreError::Unavailable {
            reason: format!("{} cannot be written: {error}", to.display()),
            retryable: false,
            source: Some(Box::new(error)),
        };
        let named = if overwrite {
            fs::rename(&self.0, to)
        } else {
            // Unlike a rename, this replaces nothing that was made while the copy was written.
            match fs::hard_link(&self.0, to) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    // A file system without links, as on many sticks.
                    refuse_taken(to, overwrite)?;
                    fs::rename(&self.0, to)
                }
                linked => linked,
            }
        };
        named.map_err(failed)?;
        // So that the name, too, survives a power cut. Not every file system takes that.
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        let _ = fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // Once it has become the file, there is nothing of that name.
        let _ = fs::remove_file(&self.0);
        for suffix in ["-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(file::side_file(&self.0, suffix));
        }
    }
}
