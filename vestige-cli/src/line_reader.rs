use std::io::{self, BufRead};

/// The longest line of an import, in bytes. It leaves room for the longest memory with every character
/// escaped.
pub const MAX_LINE_BYTES: usize = 32 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";
const NEWLINE: u8 = b'\n';

/// Reads lines of bytes and never keeps more than one, nor more than [`MAX_LINE_BYTES`] of it.
///
/// A byte order mark in front of the first line is passed over, and so is the
/// carriage return of a line that ends in CRLF.
#[derive(Debug)]
pub struct LineReader<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// A line, or what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The line without its end.
    Bytes(&'a [u8]),
    /// A line longer than [`MAX_LINE_BYTES`], which was passed over.
    TooLong,
}

impl<R: BufRead> LineReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self { source, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The number of the line that was read last, from 1; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes were read so far, ends of lines included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    ///
    /// What the source answers, but for [`io::ErrorKind::Interrupted`], which is tried again.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut too_long = false;
        let mut began = false;
        loop {
            let chunk = match self.source.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if !began {
                    return Ok(None);
                }
                break;
            }
            began = true;
            let end = chunk.iter().position(|&byte| byte == NEWLINE);
            let text = &chunk[..end.unwrap_or(chunk.len())];
            too_long |= self.line.len() + text.len() > MAX_LINE_BYTES;
            if too_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(text);
            }
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.source.consume(taken);
            self.bytes += taken as u64;
            if end.is_some() {
                break;
            }
        }
        self.number += 1;
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let line = if self.number == 1 { line.strip_prefix(BOM).unwrap_or(line) } else { line };
        Ok(Some(Line::Bytes(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &[u8]) -> Vec<Option<Vec<u8>>> {
        // A small buffer, so that lines cross its end.
        let mut reader = LineReader::new(io::BufReader::with_capacity(3, source));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(match line {
                Line::Bytes(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            });
        }
        assert_eq!(reader.number(), lines.len() as u64);
        assert_eq!(reader.bytes(), source.len() as u64);
        lines
    }

    #[test]
    fn lines_end_in_lf_crlf_or_the_end_of_the_file() {
        let expected = ["one", "two", "", "three"].map(|line| Some(line.as_bytes().to_vec()));
        assert_eq!(lines(b"one\ntwo\r\n\nthree"), expected);
        assert_eq!(lines(b"one\ntwo\r\n\nthree\n"), expected);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_at_the_start_only() {
        let text = b"\xef\xbb\xbfone\n\xef\xbb\xbftwo";
        assert_eq!(lines(text), [Some(b"one".to_vec()), Some(b"\xef\xbb\xbftwo".to_vec())]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_the_next_one_is_read() {
        let mut source = vec![b'x'; MAX_LINE_BYTES + 1];
        source.extend_from_slice(b"\nnext");
        let mut reader = LineReader::new(io::BufReader::new(source.as_slice()));
        assert_eq!(reader.next_line().unwrap(), Some(Line::TooLong));
        assert_eq!(reader.next_line().unwrap(), Some(Line::Bytes(b"next")));
        assert_eq!(reader.number(), 2);
    }
}
