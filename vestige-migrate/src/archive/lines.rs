use std::io::{BufRead, Read, Seek, SeekFrom};

use crate::error::{MigrateError, MigrateResult};

/// The longest line a row within the store's limits can have is well below this.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Reads lines and counts them.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The number of the line read last, from 1.
    pub(super) number: u64,
    /// Where the next line begins, in bytes.
    pub(super) offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), number: 0, offset: 0 }
    }

    /// The next line with its line feed; none at the end.
    pub(super) fn next(&mut self) -> MigrateResult<Option<&[u8]>> {
        self.buffer.clear();
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut self.buffer)
            .map_err(MigrateError::io("cannot read the archive"))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.offset += read as u64;
        if self.buffer.ends_with(b"\n") {
            return Ok(Some(&self.buffer));
        }
        let reason = if read as u64 == MAX_LINE_BYTES {
            format!("is longer than {MAX_LINE_BYTES} bytes, which no line of an archive is")
        } else {
            "ends without a line feed: the archive is truncated; fetch it again or take another copy"
                .to_owned()
        };
        Err(MigrateError::archive(self.number, reason))
    }
}

impl<R: BufRead + Seek> Lines<R> {
    /// Goes to a line that begins at `offset`, after line `number`.
    pub(super) fn seek(&mut self, offset: u64, number: u64) -> MigrateResult<()> {
        self.reader.seek(SeekFrom::Start(offset)).map_err(MigrateError::io("cannot read the archive"))?;
        (self.offset, self.number) = (offset, number);
        Ok(())
    }
}
