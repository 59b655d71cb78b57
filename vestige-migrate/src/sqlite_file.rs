use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// How the file of an SQLite database begins.
pub(crate) const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// How its write-ahead log begins, in either order of bytes.
const LOG_MAGIC: [&[u8]; 2] = [b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"];
/// What SQLite puts behind the name of a database to name the files beside it, and what they are.
const BESIDE: [(&str, &str); 3] = [
    ("-wal", "the write-ahead log of an SQLite database"),
    ("-shm", "the shared memory of an SQLite database"),
    ("-journal", "the journal of an SQLite database"),
];

/// Which file of SQLite this is, such as `an SQLite database`; none for any other file.
///
/// Overwriting such a file destroys the database. The files beside a database are known by their names,
/// whether they exist or not.
pub fn sqlite_file(path: &Path) -> Option<&'static str> {
    let head = head(path);
    if head.starts_with(SQLITE_MAGIC) {
        return Some("an SQLite database");
    }
    if LOG_MAGIC.iter().any(|magic| head.starts_with(magic)) {
        return Some("the write-ahead log of an SQLite database");
    }
    // A link has a name of its own.
    beside(path).or_else(|| beside(&fs::canonicalize(path).ok()?))
}

fn beside(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let (database, what) =
        BESIDE.iter().find_map(|(suffix, what)| Some((name.strip_suffix(suffix)?, *what)))?;
    head(&path.with_file_name(database)).starts_with(SQLITE_MAGIC).then_some(what)
}

/// The first bytes of a file; none of what is no file, which might keep its reader waiting.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if fs::metadata(path).is_ok_and(|found| found.is_file()) {
        // What cannot be read is of no kind that is known.
        let _ = File::open(path).and_then(|file| file.take(16).read_to_end(&mut head));
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_and_the_files_beside_it_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("k.db"), [SQLITE_MAGIC, b"and so on"].concat()).unwrap();
        fs::write(path("text"), "SQLite format 4").unwrap();
        fs::write(path("moved"), b"\x37\x7f\x06\x83 and so on").unwrap();
        for name in ["k.db", "k.db-wal", "k.db-shm", "k.db-journal", "moved"] {
            assert!(sqlite_file(&path(name)).is_some(), "{name}");
        }
        for name in ["text", "text-wal", "none-wal", "none", "k.db-bak", "-wal", "."] {
            assert_eq!(sqlite_file(&path(name)), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("k.db"), SQLITE_MAGIC).unwrap();
        fs::write(path("k.db-shm"), "").unwrap();
        std::os::unix::fs::symlink("k.db-shm", path("link")).unwrap();
        assert_eq!(sqlite_file(&path("link")), Some("the shared memory of an SQLite database"));
    }
}
