//! Any bytes are an import: each line is a valid memory, blank, or refused in one line.
#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use vestige_cli::{ImportDefaults, ImportLine, Line, LineReader, UnknownKeys};

fuzz_target!(|bytes: &[u8]| {
    let mut defaults = ImportDefaults::new(DateTime::UNIX_EPOCH);
    defaults.unknown_keys = match bytes.len() % 3 {
        0 => UnknownKeys::Error,
        1 => UnknownKeys::Metadata,
        _ => UnknownKeys::Ignore,
    };
    let mut reader = LineReader::new(std::io::BufReader::with_capacity(7, bytes));
    while let Some(line) = reader.next_line().expect("memory can be read") {
        let Line::Bytes(line) = line else { continue };
        match ImportLine::parse(line, &defaults) {
            Ok(None) => {}
            Ok(Some(parsed)) => {
                parsed.record.validate().expect("what was accepted is valid");
                assert!(parsed.differences(&parsed.record).is_empty());
                let again = ImportLine::parse(line, &defaults).expect("the same answer");
                assert_eq!(again.map(|line| line.record.id), Some(parsed.record.id));
            }
            Err(reason) => {
                assert!(!reason.is_empty());
                assert!(reason.len() < 1000, "{} bytes of complaint", reason.len());
            }
        }
    }
    assert_eq!(reader.bytes(), bytes.len() as u64);
});
