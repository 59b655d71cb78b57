//! The first and the last line of an archive.

use serde::Deserialize;
use vestige_traits::ModelSignature;
use vestige_traits::transfer::{TransferKind, TransferRow};

use crate::canonical::Object;
use crate::error::{MigrateError, MigrateResult};
use crate::inventory::{Inventory, PerKind, RowDigest};
use crate::sqlite_file::SQLITE_MAGIC;

/// The newest version of the archive format, which this crate reads and writes. An archive has the oldest
/// version that can say what it holds.
pub const FORMAT_VERSION: u64 = 2;
/// The version of the first archives.
pub(super) const FIRST_VERSION: u64 = 1;
/// From this version on a memory may have a session.
const WITH_SESSION: u64 = 2;
const FORMAT: &str = "vestige-archive";
/// How the files of gzip, zstd, xz, bzip2 and zip begin.
const COMPRESSED: [&[u8]; 5] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"PK\x03\x04"];

/// What the first line says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Header {
    pub(super) version: u64,
    pub(super) model: Option<ModelSignature>,
    pub(super) counts: PerKind<u64>,
}

/// What the last line says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Closing {
    pub(super) digests: PerKind<RowDigest>,
    /// BLAKE3 of every byte before the closing line, in lowercase hexadecimal.
    pub(super) blake3: String,
}

/// The oldest version in which an archive can say this row.
pub(super) fn version_for(row: &TransferRow) -> u64 {
    match row {
        TransferRow::Memory(record) if record.session.is_some() => WITH_SESSION,
        _ => FIRST_VERSION,
    }
}

pub(super) fn write_header(out: &mut Vec<u8>, version: u64, inventory: &Inventory) {
    let mut line = Object::begin(out);
    line.text("kind", "header");
    line.text("format", FORMAT);
    line.integer("version", version);
    match &inventory.model {
        Some(model) => line.object("model", |object| {
            object.text("name", &model.name);
            object.integer("dimension", model.dimension as u64);
            object.text("hash", &model.hash);
        }),
        None => line.null("model"),
    }
    line.object("counts", |object| {
        for kind in TransferKind::ALL {
            object.integer(kind.as_str(), inventory.counts[kind]);
        }
    });
    line.end();
    out.push(b'\n');
}

pub(super) fn write_closing(out: &mut Vec<u8>, digests: &PerKind<RowDigest>, blake3: &str) {
    let mut line = Object::begin(out);
    line.text("kind", "end");
    line.object("digests", |object| {
        for kind in TransferKind::ALL {
            object.text(kind.as_str(), &digests[kind].to_string());
        }
    });
    line.text("blake3", blake3);
    line.end();
    out.push(b'\n');
}

/// Reads the first line, given without its line feed.
pub(super) fn read_header(line: &[u8]) -> MigrateResult<Header> {
    #[derive(Deserialize)]
    struct Recognise {
        format: Option<String>,
        version: Option<u64>,
        content: Option<serde::de::IgnoredAny>,
    }
    let refuse = |reason: &str| Err(MigrateError::archive(1, reason));
    if line.starts_with(SQLITE_MAGIC) {
        return refuse("is no Vestige archive but a SQLite database; open it as a store instead");
    }
    if COMPRESSED.iter().any(|magic| line.starts_with(magic)) {
        return refuse("is compressed; unpack it first, such as by `zstd -dc FILE | vestige restore -`");
    }
    if line.starts_with(b"\xef\xbb\xbf") || line.ends_with(b"\r") {
        return refuse(
            "has a byte order mark or CR LF line ends: a program took the archive for a text and rewrote it; take \
             another copy, and transfer it as binary",
        );
    }
    let Ok(seen) = serde_json::from_slice::<Recognise>(line) else {
        return refuse("is no Vestige archive: it does not begin with an archive's header");
    };
    if seen.format.as_deref() != Some(FORMAT) {
        return refuse(if seen.content.is_some() {
            "is no Vestige archive; lines with a \"content\" are for `vestige import`"
        } else {
            "is no Vestige archive: it does not begin with an archive's header"
        });
    }
    match seen.version {
        Some(FIRST_VERSION..=FORMAT_VERSION) => {}
        Some(found) if found > FORMAT_VERSION => {
            return Err(MigrateError::ArchiveTooNew { found, supported: FORMAT_VERSION });
        }
        _ => return refuse("has a header with no format version that ever was"),
    }
    let header: Header = serde_json::from_slice(line)
        .map_err(|error| MigrateError::archive(1, format!("has a damaged header: {error}")))?;
    if let Some(model) = &header.model {
        model
            .validate()
            .map_err(|error| MigrateError::archive(1, format!("has a damaged header: {error}")))?;
    }
    let inventory =
        Inventory { model: header.model.clone(), counts: header.counts, digests: PerKind::default() };
    let mut canonical = Vec::new();
    write_header(&mut canonical, header.version, &inventory);
    if canonical.strip_suffix(b"\n") != Some(line) {
        return refuse("has a header that is not in canonical form, so it was altered");
    }
    Ok(header)
}

/// Whether a line is meant as the first one of an archive, of whatever version. So other programs tell an
/// archive from other JSON lines.
pub fn is_header(line: &[u8]) -> bool {
    line.starts_with(br#"{"kind":"header","format":"vestige-archive","#)
}

/// Whether a line is meant as the last one.
pub(super) fn is_closing(line: &[u8]) -> bool {
    line.starts_with(br#"{"kind":"end","#)
}

/// Reads the last line, given without its line feed, which is line `number`.
pub(super) fn read_closing(line: &[u8], number: u64) -> MigrateResult<Closing> {
    let closing: Closing = serde_json::from_slice(line)
        .map_err(|error| MigrateError::archive(number, format!("is a damaged closing line: {error}")))?;
    let mut canonical = Vec::new();
    write_closing(&mut canonical, &closing.digests, &closing.blake3);
    if canonical.strip_suffix(b"\n") != Some(line) {
        return Err(MigrateError::archive(
            number,
            "is a closing line that is not in canonical form, so it was altered",
        ));
    }
    Ok(closing)
}
