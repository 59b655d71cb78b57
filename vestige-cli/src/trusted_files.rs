//! Which configuration files of working directories count.
//!
//! A folder may be anybody's: an archive that was unpacked, a repository that was cloned. What lies in it may
//! neither choose where memories go nor which library is loaded, before its owner has read it. So the file in
//! the working directory counts once `vestige trust` was run on it, and until it changes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The longest configuration file of a folder, in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// How many settings a note names.
const NAMED: usize = 8;

/// The trusted files of this user: an empty file for each, whose name is a hash of path and text.
pub(crate) struct TrustedFiles {
    folder: PathBuf,
}

impl TrustedFiles {
    /// Those that are kept in a configuration folder.
    pub(crate) fn in_folder(config: &Path) -> Self {
        Self { folder: config.join("trusted") }
    }

    /// Whether the file at `path` is trusted with this text.
    pub(crate) fn contains(&self, path: &Path, text: &str) -> bool {
        self.mark(path, text).is_ok_and(|mark| mark.is_file())
    }

    pub(crate) fn add(&self, path: &Path, text: &str) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.folder).map_err(Failure::io(self.folder.display()))?;
        let mark = self.mark(path, text)?;
        File::create(&mark).map(drop).map_err(Failure::io(mark.display()))
    }

    /// Whether it was trusted.
    pub(crate) fn remove(&self, path: &Path, text: &str) -> Result<bool, Failure> {
        let mark = self.mark(path, text)?;
        match std::fs::remove_file(&mark) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::io(mark.display())(error)),
        }
    }

    fn mark(&self, path: &Path, text: &str) -> Result<PathBuf, Failure> {
        let path = path.canonicalize().map_err(Failure::io(path.display()))?;
        let mut hash = blake3::Hasher::new();
        hash.update(path.as_os_str().as_encoded_bytes()).update(&[0]).update(text.as_bytes());
        Ok(self.folder.join(hash.finalize().to_hex().as_str()))
    }
}

/// The text of a folder's configuration file. What is no regular file, or too long, is not read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    // A pipe would be waited for, so its kind is looked at before it is opened.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} KiB", MAX_BYTES >> 10));
    }
    Ok(text)
}

/// What a file would set, for people: `storage.sqlite.path, embeddings.runtime`.
pub(crate) fn settings_named(text: &str) -> String {
    let mut names = Vec::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        collect("", &table, &mut names);
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match more {
        0 => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}

fn collect(above: &str, table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{above}{key}");
        match value {
            toml::Value::Table(below) => collect(&format!("{name}."), below, names),
            _ => names.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_of_a_file_as_it_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one.toml"), folder.path().join("other.toml"));
        std::fs::write(&one, "a").unwrap();
        std::fs::write(&other, "a").unwrap();
        let trusted = TrustedFiles::in_folder(&folder.path().join("config"));
        assert!(!trusted.contains(&one, "a"));
        trusted.add(&one, "a").unwrap();
        assert!(trusted.contains(&one, "a") && trusted.contains(&folder.path().join("./one.toml"), "a"));
        assert!(!trusted.contains(&one, "b") && !trusted.contains(&other, "a"));
        assert!(trusted.remove(&one, "a").unwrap());
        assert!(!trusted.contains(&one, "a") && !trusted.remove(&one, "a").unwrap());
    }

    #[test]
    fn settings_are_named_by_their_place() {
        let text = "[storage.sqlite]\npath = \"x\"\n[embeddings]\nruntime = \"y\"\n";
        assert_eq!(settings_named(text), "embeddings.runtime, storage.sqlite.path");
        assert_eq!(settings_named("no toml"), "");
        let many: String = (0..20).map(|n| format!("a{n} = 1\n")).collect();
        assert!(settings_named(&many).ends_with(" and 12 more"));
    }

    #[test]
    fn what_is_no_small_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().contains("regular"));
        let long = folder.path().join("long");
        std::fs::write(&long, "#".repeat(70_000)).unwrap();
        assert!(read(&long).unwrap_err().contains("64 KiB"));
    }
}
