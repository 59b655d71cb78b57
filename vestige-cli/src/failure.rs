//! What a person reads when something did not work: what, where, and what to do, in one line.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use vestige_memory::text::one_line;
use vestige_memory::{IdError, MemoryError};
use vestige_migrate::MigrateError;
use vestige_traits::{EmbedderError, MemoryStoreError};

use crate::models::model_flag;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked wrongly: exit code 2.
    Usage(String),
    /// The message says everything.
    Message(String),
    Store(MemoryStoreError),
    Embedder(EmbedderError),
    Migrate(MigrateError),
    /// A file or a stream, and what the system said about it.
    Io(String, io::Error),
    /// Everything was said already.
    Reported,
    /// Whoever read the output went away. Nothing is said: `vestige list | head` is no failure.
    BrokenPipe,
    /// The store did not answer within the time that a command has.
    TimedOut(Duration),
    /// Ctrl-C, or another signal to end: its number. What was done is said by the command.
    Interrupted(u8),
}

pub(crate) type CommandResult<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn message(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// Turns what the system said about `what` into a failure.
    pub(crate) fn io(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Io(what.to_string(), error),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            // A flag; a text may come from anywhere.
            Self::Store(MemoryStoreError::InvalidInput { field, .. })
                if asked_by(field).is_some_and(|asked| asked.starts_with("--")) =>
            {
                ExitCode::from(2)
            }
            Self::BrokenPipe => ExitCode::SUCCESS,
            // What a shell reports for a process that the signal ended: 130 after Ctrl-C.
            Self::Interrupted(signal) => ExitCode::from(128 + signal),
            _ => ExitCode::FAILURE,
        }
    }

    /// The line for stderr, without the word `error`; none if there is nothing to say.
    /// `place` is the store that the command worked on.
    pub(crate) fn line(&self, place: &str) -> Option<String> {
        let text = match self {
            Self::Usage(message) | Self::Message(message) => message.clone(),
            Self::Store(error) => store_line(error, place),
            Self::Embedder(error) => with_sources(error),
            Self::Migrate(MigrateError::TargetNotEmpty { memories, .. }) => format!(
                "{place} already holds {memories} memories that are not from there; choose an empty store with --db, \
                 or merge by id with --into-existing, which overwrites nothing"
            ),
            Self::Migrate(error) => format!("{place}: {}", with_sources(error)),
            Self::Io(what, error) => format!("{what}: {error}"),
            Self::TimedOut(timeout) => format!(
                "{place}: no answer within {} s; a write may be done or not, so look before you repeat it; \
                 --timeout SECONDS gives it longer",
                timeout.as_secs()
            ),
            Self::Interrupted(_) => "interrupted; what was acknowledged is stored".to_owned(),
            Self::Reported | Self::BrokenPipe => return None,
        };
        Some(one_line(&text))
    }
}

fn store_line(error: &MemoryStoreError, place: &str) -> String {
    let said = with_sources(error);
    match error {
        MemoryStoreError::NotFound { .. } => format!("{said} in {place}; `vestige list` shows what there is"),
        MemoryStoreError::AlreadyExists { .. } => {
            format!("{said} in {place}; `vestige update` changes it, or take another id")
        }
        MemoryStoreError::InvalidInput { field, rule } => {
            asked_by(field).map_or(said, |asked| format!("{asked}: {rule}"))
        }
        MemoryStoreError::ModelMismatch { registered, .. } => format!(
            "{place}: {said}; use its own model (`--model {}`, or [embeddings] in vestige.toml), \
             search by words alone (`--mode keyword`), or move it to another (`vestige migrate --reembed`)",
            model_flag(&registered.name)
        ),
        MemoryStoreError::ModelNotRegistered => format!("{place}: {said}"),
        MemoryStoreError::ReadOnly if place.starts_with("postgres") => format!(
            "{place} may only be read; it is a replica, or the role lacks a privilege (see docs/runbook/postgres.md)"
        ),
        MemoryStoreError::ReadOnly => {
            format!("{place} may only be read; check the permissions of the file and of its folder")
        }
        MemoryStoreError::Damaged { what, .. } if what == place => {
            format!("{said}; name another file with --db, or restore a backup or an archive into a new one")
        }
        _ if said.contains(place) => said,
        _ => format!("{place}: {said}"),
    }
}

/// The argument that fills a field.
fn asked_by(field: &str) -> Option<&'static str> {
    Some(match field {
        "limit" => "--limit",
        "node_type" | "filter.node_types" | "edge_type" => "--type",
        "codebase" | "filter.codebases" => "--codebase",
        "session" | "filter.sessions" => "--session",
        "tags" | "filter.tags" => "--tag",
        "filter.domains" => "--domain",
        "filter.created_from" => "--since",
        "filter.created_before" => "--until",
        "filter.min_retrievability" => "--min-retrievability",
        "created_at" => "--created-at",
        "weight" => "--weight",
        "depth" => "--depth",
        "context" => "--context",
        "text" => "the question",
        _ => return None,
    })
}

/// The error and what lies directly behind it, unless the error quotes that or a part of it. Deeper causes
/// repeat it in a driver's own words.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string);
    let causes: Vec<_> = causes.filter(|cause| !cause.is_empty()).collect();
    match causes.first() {
        Some(cause) if !causes.iter().any(|cause| text.contains(cause)) => format!("{text} ({cause})"),
        _ => text,
    }
}

impl From<MemoryStoreError> for Failure {
    fn from(error: MemoryStoreError) -> Self {
        Self::Store(error)
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Store(error) | MemoryError::InvalidMemory { source: error, .. } => {
                Self::Store(error)
            }
            MemoryError::Embedder(error) => Self::Embedder(error),
            MemoryError::Id(error @ IdError::NotAnId { .. }) => Self::Usage(error.to_string()),
            error @ MemoryError::Secret { .. } => Self::Message(format!(
                "{error}; nothing was stored; take it out, or mean it with --allow-secrets"
            )),
            error => Self::Message(error.to_string()),
        }
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Source(error) | MigrateError::Target(error) | MigrateError::Store(error) => {
                Self::Store(error)
            }
            MigrateError::Embedder(error) => Self::Embedder(error),
            MigrateError::Io { what, source } => Self::io(what)(source),
            other => Self::Migrate(other),
        }
    }
}

impl From<EmbedderError> for Failure {
    fn from(error: EmbedderError) -> Self {
        Self::Embedder(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_it_quotes() {
        let failure = Failure::message("a\nb\u{1b}[31mc\r\n");
        assert_eq!(failure.line("x").as_deref(), Some("a b\\u{1b}[31mc"));
    }

    #[test]
    fn each_cause_is_said_once() {
        let source = io::Error::other("disk on fire");
        let error = MemoryStoreError::backend("sqlite", source, false);
        let line = Failure::Store(error).line("/m.db").unwrap();
        assert_eq!(line, "/m.db: sqlite error: disk on fire");
    }

    /// As a driver's error is that says where its own came from.
    #[derive(Debug)]
    struct FromServer(io::Error);

    impl fmt::Display for FromServer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "error returned from database: {}", self.0)
        }
    }

    impl std::error::Error for FromServer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_cause_that_the_reason_quotes_is_not_said_again() {
        let damaged = |reason: &str| MemoryStoreError::Damaged {
            what: "the database".to_owned(),
            reason: reason.to_owned(),
            source: Some(FromServer(io::Error::other("no such table")).into()),
        };
        for (reason, said) in [
            (
                "no such table; restore a backup",
                "the database cannot be used: no such table; restore a backup",
            ),
            (
                "it is none of ours",
                "the database cannot be used: it is none of ours (error returned from database: no such table)",
            ),
        ] {
            assert_eq!(with_sources(&damaged(reason)), said);
            let moved = MigrateError::Source(damaged(reason));
            assert_eq!(with_sources(&moved), format!("source: {said}"));
        }
    }
}
