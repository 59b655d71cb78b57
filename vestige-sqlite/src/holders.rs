//! Which processes hold a lock of a file, where the system tells.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::file;

/// The processes that hold a lock for writing on the database or on the files beside it, such as `4711
/// (vestige)`. None where the system does not say: never a reason to fail.
pub(crate) fn of(path: &Path) -> Option<String> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let sides = ["-shm", "-wal"].map(|suffix| file::side_file(path, suffix));
    let files = sides.iter().map(|side| &**side).chain([path]);
    let inodes: Vec<u64> = files.filter_map(file::inode).collect();
    let holders: BTreeSet<u32> = locks.lines().filter_map(|line| writer_of(line, &inodes)).collect();
    let named = holders.into_iter().map(|process| {
        // A process of another user has a name too; one that has just ended has none.
        match fs::read_to_string(format!("/proc/{process}/comm")) {
            Ok(name) => format!("{process} ({})", name.trim().escape_debug()),
            Err(_) => process.to_string(),
        }
    });
    let named = named.collect::<Vec<_>>().join(", ");
    (!named.is_empty()).then_some(named)
}

/// The process of a line of `/proc/locks` (proc_locks(5)) that is a lock for writing on one of these files,
/// such as `1: POSIX  ADVISORY  WRITE 4711 fd:01:1048577 120 120`. A line of one that waits has an arrow.
fn writer_of(line: &str, inodes: &[u64]) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1).skip_while(|word| !matches!(*word, "POSIX" | "OFDLCK"));
    if line.contains("->") || words.nth(2)? != "WRITE" {
        return None;
    }
    let process = words.next()?.parse().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    inodes.contains(&inode).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_for_writing_are_read_and_others_are_not() {
        let of = |line: &str| writer_of(line, &[1_048_577, 7]);
        assert_eq!(of("1: POSIX  ADVISORY  WRITE 4711 fd:01:1048577 120 120"), Some(4711));
        for other in [
            "1: POSIX  ADVISORY  READ 4711 fd:01:1048577 124 124",
            "1: POSIX  ADVISORY  WRITE 4711 fd:01:1048578 120 120",
            "1: -> POSIX  ADVISORY  WRITE 4711 fd:01:1048577 120 120",
            "1: FLOCK  ADVISORY  WRITE 4711 fd:01:1048577 0 EOF",
            // Of another container: -1, of an open file: none.
            "1: POSIX  ADVISORY  WRITE -1 fd:01:1048577 120 120",
            "1: POSIX",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
