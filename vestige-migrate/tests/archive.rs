//! Writing archives, reading them back, and refusing what is no whole archive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;

use std::io::Cursor;

use common::{archive_of, empty, filled, memory, open};
use vestige_migrate::archive::{Archive, Exporter, FORMAT_VERSION, Restorer};
use vestige_migrate::{CopyOutcome, MigrateError, Phase};
use vestige_traits::transfer::{TransferKind, TransferRow};
use vestige_traits::{MemoryRecord, MemoryStore};

fn refusal(bytes: impl Into<Vec<u8>>) -> MigrateError {
    Archive::new(Cursor::new(bytes.into())).map(drop).unwrap_err()
}

#[track_caller]
fn assert_refused(bytes: impl Into<Vec<u8>>, at_line: u64, saying: &str) {
    match refusal(bytes) {
        MigrateError::Archive { line, reason } => {
            assert_eq!(line, at_line, "{reason}");
            assert!(reason.contains(saying), "{reason:?} does not say {saying:?}");
        }
        other => panic!("expected a refusal at line {at_line}, got {other}"),
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

#[tokio::test]
async fn an_archive_restored_and_exported_again_is_the_same_bytes() {
    let store = filled(100).await;
    let first = archive_of(&store).await;
    let target = empty();
    let mut archive = open(&first);
    let report = Restorer::new(&mut archive, &target).page_rows(17).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::Complete);
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(report.proof.unwrap().target, *archive.inventory());
    assert_eq!(archive_of(&target).await, first);
}

#[tokio::test]
async fn the_page_size_does_not_show_in_the_archive() {
    let store = filled(70).await;
    let mut archives = Vec::new();
    for rows in [1, 7, 2000] {
        let mut bytes = Vec::new();
        Exporter::new(&store).page_rows(rows).write(&mut bytes).await.unwrap();
        archives.push(bytes);
    }
    assert!(archives.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn an_empty_store_has_an_archive() {
    let bytes = archive_of(&empty()).await;
    let lines = lines(&bytes);
    assert_eq!(lines.len(), 3, "header, the local user, closing line");
    assert!(lines[0].starts_with(
        r#"{"kind":"header","format":"vestige-archive","version":1,"model":null,"counts":{"user":1,"#
    ));
    let target = empty();
    let report = Restorer::new(&mut open(&bytes), &target).run().await.unwrap();
    assert!(report.is_lossless());
    assert_eq!(archive_of(&target).await, bytes);
}

#[tokio::test]
async fn counts_and_hash_of_the_report_are_those_of_the_file() {
    let store = filled(20).await;
    let mut bytes = Vec::new();
    let report = Exporter::new(&store).write(&mut bytes).await.unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    assert_eq!(report.inventory.counts[TransferKind::Memory], 20);
    let archive = open(&bytes);
    assert_eq!(*archive.inventory(), report.inventory);
    assert_eq!(archive.blake3(), report.blake3);
    let closing = lines(&bytes).pop().unwrap();
    let before = &bytes[..bytes.len() - closing.len()];
    assert!(closing.contains(blake3::hash(before).to_hex().as_str()));
}

#[tokio::test]
async fn an_archive_cut_anywhere_is_refused() {
    let bytes = archive_of(&filled(3).await).await;
    for end in 0..bytes.len() {
        assert!(matches!(refusal(&bytes[..end]), MigrateError::Archive { .. }), "cut at {end}");
    }
}

#[tokio::test]
async fn an_archive_with_any_byte_changed_is_refused() {
    let bytes = archive_of(&filled(3).await).await;
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        refusal(altered);
    }
}

#[tokio::test]
async fn a_lost_doubled_or_moved_line_is_refused_where_it_is() {
    let bytes = archive_of(&filled(5).await).await;
    let whole = lines(&bytes);
    let memory = whole.iter().position(|line| line.starts_with(r#"{"kind":"memory""#)).unwrap();
    let end = whole.len() as u64;

    let mut lost = whole.clone();
    lost.remove(memory);
    assert_refused(lost.concat(), end - 1, "header says 5");

    let mut doubled = whole.clone();
    doubled.insert(memory, whole[memory].clone());
    assert_refused(doubled.concat(), memory as u64 + 2, "repeats");

    let mut swapped = whole.clone();
    swapped.swap(memory, memory + 1);
    assert_refused(swapped.concat(), memory as u64 + 2, "stands before");

    let mut moved = whole.clone();
    let user = moved.remove(1);
    moved.insert(memory - 1, user);
    assert_refused(moved.concat(), memory as u64, "a user stands after a domain");

    let mut edited = whole.clone();
    edited[memory] = edited[memory].replace("note", "nota");
    assert_refused(edited.concat(), end, "digest of the memory rows");

    let mut unclosed = whole.clone();
    unclosed.pop();
    assert_refused(unclosed.concat(), end, "closing line is missing");

    let mut longer = whole.clone();
    longer.push(whole[memory].clone());
    assert_refused(longer.concat(), end + 1, "follows the closing line");

    let mut spaced = whole.clone();
    spaced[memory] = spaced[memory].replacen(',', ", ", 1);
    assert_refused(spaced.concat(), memory as u64 + 1, "canonical form");

    let mut blank = whole;
    blank.insert(memory, "\n".to_owned());
    assert_refused(blank.concat(), memory as u64 + 1, "does not begin with");
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name_before_anything_else() {
    let text = String::from_utf8(archive_of(&empty()).await).unwrap();
    let newer = text.replace(r#""version":1,"#, r#""version":3,"new":{"whatever":[]},"#);
    match refusal(newer) {
        error @ MigrateError::ArchiveTooNew { found: 3, supported: FORMAT_VERSION } => {
            assert!(error.to_string().contains("upgrade vestige"), "{error}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_archive_has_the_version_of_its_rows_and_no_other() {
    let store = empty();
    store.import_page(&[TransferRow::Memory(memory(0, 4).embedding(None))], None).await.unwrap();
    let before = String::from_utf8(archive_of(&store).await).unwrap();
    assert!(before.contains(r#""version":1,"#) && !before.contains("session"), "{before}");
    let raised = before.replacen(r#""version":1,"#, r#""version":2,"#, 1);
    assert_refused(raised, 4, "no row has need");

    store.update(&memory(0, 4).embedding(None).session("monday")).await.unwrap();
    let bytes = archive_of(&store).await;
    let with = String::from_utf8(bytes.clone()).unwrap();
    assert!(with.contains(r#""version":2,"#) && with.contains(r#"Z","session":"monday"}"#), "{with}");
    let target = empty();
    assert!(Restorer::new(&mut open(&bytes), &target).run().await.unwrap().is_lossless());
    assert_eq!(archive_of(&target).await, bytes);
    assert_refused(with.replacen(r#""version":2,"#, r#""version":1,"#, 1), 3, "needs version 2");
    for (session, reason) in [("null", "canonical form"), (r#""tuesday""#, "digest of the memory rows")] {
        let changed = with.replacen(r#""session":"monday""#, &format!(r#""session":{session}"#), 1);
        assert!(refusal(changed).to_string().contains(reason), "{session}");
    }
}

#[test]
fn what_is_no_archive_is_recognised() {
    assert_refused("", 1, "empty");
    assert_refused("SQLite format 3\0 and so on\n", 1, "SQLite database");
    assert_refused("{\"content\":\"a note\"}\n", 1, "vestige import");
    assert_refused("{\"kind\":\"memory\"}\n", 1, "does not begin with an archive's header");
    assert_refused("[1,2]\n", 1, "does not begin with an archive's header");
    assert_refused("just text\n", 1, "does not begin with an archive's header");
    assert_refused(vec![0xff, 0xfe, b'\n'], 1, "does not begin with an archive's header");
    assert_refused(b"\x28\xb5\x2f\xfd and so on\n", 1, "unpack it first");
    assert_refused(b"\x1f\x8b\x08 and so on\n", 1, "unpack it first");
}

#[tokio::test]
async fn an_archive_that_was_handled_as_a_text_is_recognised() {
    let whole = String::from_utf8(archive_of(&filled(2).await).await).unwrap();
    assert_refused(whole.replace('\n', "\r\n"), 1, "CR LF");
    assert_refused(format!("\u{feff}{whole}"), 1, "byte order mark");
    assert_refused(format!("{whole}{whole}"), whole.lines().count() as u64 + 1, "follows the closing line");
}

#[tokio::test]
async fn restoring_into_other_memories_is_refused_and_changes_nothing() {
    let bytes = archive_of(&filled(4).await).await;
    let target = empty();
    target.insert(&MemoryRecord::new("here first")).await.unwrap();
    let before = archive_of(&target).await;
    let error = Restorer::new(&mut open(&bytes), &target).run().await.unwrap_err();
    assert!(matches!(error, MigrateError::TargetNotEmpty { memories: 1, others: 0 }), "{error}");
    assert_eq!(archive_of(&target).await, before);

    let report = Restorer::new(&mut open(&bytes), &target).into_existing(true).run().await.unwrap();
    assert!(report.is_lossless());
    assert_eq!(target.count().await.unwrap(), 5);
}

#[tokio::test]
async fn an_archive_that_is_changed_after_it_was_checked_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.vestige.jsonl");
    let store = filled(20).await;
    Exporter::new(&store).write_file(&path).await.unwrap();
    let mut archive = Archive::open(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("note 7:", "nota 7:")).unwrap();
    let report = Restorer::new(&mut archive, &empty()).run().await.unwrap();
    assert_eq!(report.outcome, CopyOutcome::SourceChanged);
    assert!(!report.is_lossless());
}

#[tokio::test]
async fn restoring_twice_changes_nothing() {
    let bytes = archive_of(&filled(30).await).await;
    let target = empty();
    Restorer::new(&mut open(&bytes), &target).run().await.unwrap();
    // What was deleted since does not come back by itself.
    target.delete(common::id(9, 3)).await.unwrap();
    let report = Restorer::new(&mut open(&bytes), &target).run().await.unwrap();
    assert_eq!((report.outcome, report.moved_now), (CopyOutcome::AlreadyComplete, 0));
    assert_eq!(report.proof.unwrap().differences[TransferKind::Memory].missing, 1);
    assert_eq!(target.count().await.unwrap(), 29);
}

#[tokio::test]
async fn a_file_is_replaced_whole_and_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.vestige.jsonl");
    std::fs::write(&path, "what was there before").unwrap();
    let store = filled(10).await;
    let report = Exporter::new(&store).write_file(&path).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), archive_of(&store).await);
    assert_eq!(Archive::open(&path).unwrap().blake3(), report.blake3);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");

    let mut stream = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
    let mut seen = 0;
    let spooled = Archive::spool(&mut stream, |progress| seen = progress.done).unwrap();
    assert_eq!(spooled.blake3(), report.blake3);
    assert_eq!(seen, report.inventory.counts.total());
}

#[tokio::test]
async fn an_archive_does_not_replace_a_store_or_a_folder() {
    let store = common::sqlite();
    common::fill(&store.store, 5, 8).await;
    let before = archive_of(&store.store).await;
    let error = Exporter::new(&store.store).write_file(&store.path).await.unwrap_err();
    assert!(error.to_string().contains("name another file"), "{error}");
    let error = Exporter::new(&store.store).write_file(store.path.parent().unwrap()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Io { .. }), "{error}");
    drop(store.store);
    assert_eq!(archive_of(&common::open_sqlite(&store.path)).await, before);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_pipes_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link, pipe) =
        (folder.path().join("a"), folder.path().join("link"), folder.path().join("pipe"));
    let store = filled(10).await;
    let whole = archive_of(&store).await;

    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("a", &link).unwrap();
    Exporter::new(&store).write_file(&link).await.unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&file).unwrap(), whole);

    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    Exporter::new(&store).write_file(&pipe).await.unwrap();
    assert_eq!(reader.join().unwrap(), whole);

    let writer = std::thread::spawn({
        let (pipe, whole) = (pipe.clone(), whole.clone());
        move || std::fs::write(pipe, whole).unwrap()
    });
    let archive = Archive::open(&pipe).unwrap();
    writer.join().unwrap();
    assert_eq!(archive.inventory().counts, Archive::open(&file).unwrap().inventory().counts);
    assert!(!std::fs::metadata(&pipe).unwrap().is_file());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let error = Exporter::new(&empty()).write_file("no/such/folder/a.jsonl".as_ref()).await.unwrap_err();
    let said = "cannot write no/such/folder/a.jsonl: there is no folder no/such/folder; make it, or name another file";
    assert_eq!(error.to_string(), said);
    let error = Archive::open("no/such/archive".as_ref()).unwrap_err();
    assert!(error.to_string().contains("no/such/archive"), "{error}");
}

/// An exporter whose store gets another memory while the archive is written, `times` times.
fn disturbed<'a>(
    store: &'a vestige_conformance::ReferenceStore,
    times: &'a mut u32,
) -> Exporter<'a, vestige_conformance::ReferenceStore> {
    let writer = store.another_handle();
    Exporter::new(store).page_rows(10).on_progress(move |progress| {
        if progress.phase == Phase::Exporting && progress.done > 10 && *times > 0 {
            *times -= 1;
            common::at_once(writer.insert(&MemoryRecord::new("came in meanwhile")));
        }
    })
}

#[tokio::test]
async fn an_archive_of_a_store_that_changes_meanwhile_is_not_closed() {
    let store = filled(30).await;
    let mut bytes = Vec::new();
    let error = disturbed(&store, &mut 1).write(&mut bytes).await.unwrap_err();
    assert!(matches!(error, MigrateError::SourceChanged), "{error}");
    assert!(error.is_retryable());
    assert!(Archive::new(Cursor::new(bytes)).is_err());
}

#[tokio::test]
async fn a_file_is_written_again_where_the_store_changed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.vestige.jsonl");
    let store = filled(30).await;
    let report = disturbed(&store, &mut 2).write_file(&path).await.unwrap();
    assert_eq!(report.inventory.counts[TransferKind::Memory], 32);
    assert_eq!(std::fs::read(&path).unwrap(), archive_of(&store).await);

    std::fs::remove_file(&path).unwrap();
    let error = disturbed(&store, &mut 100).write_file(&path).await.unwrap_err();
    assert!(matches!(error, MigrateError::SourceChanged), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
