//! Whether the process was started without a stdout, as by `>&-` in a shell.
//!
//! Rust opens `/dev/null` in the place of a standard stream that is closed. After that nobody can tell it
//! from a `/dev/null` that was asked for, and what is printed is lost without a word.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before the start of `main`, and so before Rust opens anything.
#[cfg(target_os = "linux")]
#[used]
#[expect(unsafe_code, reason = "it is the only place that is called before Rust's own start")]
// SAFETY: the section holds pointers to functions that the C library calls once, without needing their
// result. This one asks the system about a path, and needs nothing that Rust's start sets up.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // Where there is no /proc, nothing is known.
        let is_there = |path: &str| std::fs::symlink_metadata(path).is_ok();
        CLOSED.store(is_there("/proc/self/fd") && !is_there("/proc/self/fd/1"), Ordering::Relaxed);
    }
    look
};

/// Whether stdout was closed when the process began. Always false where the system does not tell.
pub(crate) fn stdout_was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Stands in for a stdout that is closed: nothing can be written to it.
pub(crate) struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("is closed, so the output is lost; open it, or write to /dev/null"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
