//! `vestige backup`: a copy of one moment, while others write.

mod common;

use std::process::Stdio;

use common::Vestige;
use rusqlite::Connection;

#[test]
fn a_backup_holds_what_the_memory_holds_and_is_for_its_owner_alone() {
    let vestige = Vestige::new();
    vestige.add(&["otters sleep hand in hand"]);
    let copy = vestige.path("copy.db");
    let name = copy.to_str().expect("UTF-8");
    let report = vestige.json(&["backup", name]);
    assert_eq!(report["inventory"]["counts"]["memory"], 1, "{report}");
    let exported = vestige.json(&["export", vestige.path("a.jsonl").to_str().expect("UTF-8")]);
    assert_eq!(report["archive_blake3"], exported["report"]["blake3"], "{report} {exported}");
    let found = vestige.json(&["search", "otters", "--db", name]);
    assert_eq!(common::contents(&found), ["otters sleep hand in hand"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&copy).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    vestige.add(&["herons stand"]);
    vestige.run(&["backup", name]).refuses(1, &["copy.db", "name another"]);
    assert_eq!(vestige.json(&["backup", name, "--overwrite"])["inventory"]["counts"]["memory"], 2);
    let store = vestige.db();
    vestige
        .run(&["backup", store.to_str().expect("UTF-8"), "--overwrite"])
        .refuses(1, &["must not be the file"]);
    std::fs::write(vestige.path("new.db-wal"), "left over").expect("it is written");
    let new = vestige.path("new.db");
    vestige.run(&["backup", new.to_str().expect("UTF-8")]).refuses(1, &["new.db-wal", "another database"]);
    assert!(!new.exists());
    let left = std::fs::read_dir(vestige.folder()).expect("a folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(left.iter().all(|name| !name.contains("partial")), "{left:?}");
}

#[test]
fn backups_while_another_process_writes_are_whole_and_of_one_moment() {
    let vestige = Vestige::new();
    vestige.add(&["the first"]);
    let lines: String =
        (0..3000).map(|n| format!("{{\"content\": \"memory {n} among others\"}}\n")).collect();
    let input = vestige.write("lines.jsonl", lines);
    let mut writer = vestige.spawn(&["import", input.to_str().expect("UTF-8")], Stdio::null());
    let mut counts = Vec::new();
    for n in 0.. {
        let writes = writer.try_wait().expect("it is known").is_none();
        let copy = vestige.path(&format!("copy{n}.db"));
        let name = copy.to_str().expect("UTF-8");
        let report = vestige.json(&["backup", name]);
        counts.push(report["inventory"]["counts"]["memory"].as_u64().expect("a number"));
        let sound: String = Connection::open(&copy)
            .and_then(|copy| copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .expect("it opens");
        assert_eq!(sound, "ok");
        if n == 0 {
            vestige.ok(&["doctor", "--db", name]);
        }
        if !writes {
            break;
        }
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(counts.last(), Some(&3001));
}

#[test]
fn an_empty_file_where_a_memory_was_expected_is_told() {
    let vestige = Vestige::new();
    std::fs::write(vestige.db(), "").expect("it is written");
    let run = vestige.run(&["search", "otters"]);
    assert!(run.stderr.contains("was there and empty"), "{}", run.stderr);
    assert!(!vestige.run(&["search", "otters"]).stderr.contains("was there and empty"));
}
