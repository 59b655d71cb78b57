//! Results on stdout, everything else on stderr.

use std::fmt;
use std::io::{self, BufWriter, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use vestige_memory::text::{one_line, terminal_safe_json};

use crate::closed_stdout::{Closed, stdout_was_closed};
use crate::failure::{CommandResult, Failure};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Stdout, buffered; styles are taken out unless it is a terminal that wants colour (`NO_COLOR`).
pub(crate) struct Output {
    pub(crate) json: bool,
    stdout: BufWriter<Box<dyn Write>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout: Box<dyn Write> =
            if stdout_was_closed() { Box::new(Closed) } else { Box::new(anstream::stdout()) };
        Self { json, stdout: BufWriter::new(stdout) }
    }

    /// One JSON value and a newline.
    pub(crate) fn json_value(&mut self, value: &impl Serialize) -> CommandResult {
        self.json_text(value)?;
        self.line("")
    }

    /// One JSON value, with everything escaped that a terminal would obey.
    pub(crate) fn json_text(&mut self, value: &impl Serialize) -> CommandResult {
        let json = serde_json::to_string(value).map_err(io::Error::from).map_err(Failure::io("stdout"))?;
        self.text(&terminal_safe_json(json))
    }

    pub(crate) fn text(&mut self, text: &str) -> CommandResult {
        self.stdout.write_all(text.as_bytes()).map_err(Failure::io("stdout"))
    }

    pub(crate) fn line(&mut self, text: impl fmt::Display) -> CommandResult {
        writeln!(self.stdout, "{text}").map_err(Failure::io("stdout"))
    }

    /// Brings everything to its reader. Without it a failure to write would go unseen.
    pub(crate) fn finish(mut self) -> CommandResult {
        self.stdout.flush().map_err(Failure::io("stdout"))
    }
}

/// Stdout as it is, for what is no text for people.
pub(crate) fn raw_stdout() -> Box<dyn Write + Send> {
    if stdout_was_closed() { Box::new(Closed) } else { Box::new(io::stdout()) }
}

/// A text in a style, as `{BOLD}text{BOLD:#}` would write it.
pub(crate) struct Styled<T>(pub(crate) Style, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// `error: …` on stderr, in one line.
pub(crate) fn error(message: &str) {
    stderr_line(RED, "error", message);
}

/// `warning: …` on stderr, in one line.
pub(crate) fn warning(message: &str) {
    stderr_line(YELLOW, "warning", message);
}

/// `note: …` on stderr, in one line.
pub(crate) fn note(message: &str) {
    stderr_line(CYAN, "note", message);
}

fn stderr_line(style: Style, kind: &str, message: &str) {
    // Nobody is left to hear that stderr does not work.
    let _ = writeln!(anstream::stderr(), "{}: {}", Styled(style, kind), one_line(message));
}
