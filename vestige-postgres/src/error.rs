//! Maps the driver's errors to those of the trait. No other module does.

use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use vestige_traits::backend::ActualModel;
use vestige_traits::backend::BoxError;
use vestige_traits::{MemoryStoreError, ModelSignature};

use crate::rights::Rights;

/// The backend's name in [`MemoryStoreError::Backend`].
const BACKEND: &str = "postgres";
/// Raised by `vestige_model_matches`: the vectors belong to another model, which the detail names.
const OTHER_MODEL: &str = "VS001";
/// Raised by `vestige_model_takes`: there is no model.
const NO_MODEL: &str = "VS002";
/// Raised by `vestige_analysis_is`: the terms of the store are of another analysis.
const OTHER_ANALYSIS: &str = "VS003";
/// A lock was not had within `lock_timeout`.
const LOCK_NOT_AVAILABLE: &str = "55P03";
/// A statement was cancelled: by `statement_timeout`, or by somebody.
const QUERY_CANCELED: &str = "57014";
/// The role lacks a right.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// An error of the driver that is displayed as the server's message alone. The driver would write "error
/// returned from database" before it, and the line of the server's source code after it. The driver's error
/// is the source.
#[derive(Debug)]
pub(crate) struct ServerMessage {
    message: String,
    error: sqlx::Error,
}

impl ServerMessage {
    pub(crate) fn new(error: sqlx::Error) -> Self {
        let message = match error.as_database_error() {
            Some(database) => database.message().to_owned(),
            None => error.to_string(),
        };
        Self { message, error }
    }

    /// As [`new`](Self::new), with the migration that failed, if it is known.
    pub(crate) fn in_migration(version: Option<i64>, error: sqlx::Error) -> Self {
        let place = version.map_or("while migrating".to_owned(), |version| format!("in migration {version}"));
        let server = Self::new(error);
        Self { message: format!("{place}: {}", server.message), ..server }
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ServerMessage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// The server has not answered for this time.
#[derive(Debug)]
struct Silence(Duration);

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl Error for Silence {}

/// The error for a server that has not answered for this time.
pub(crate) fn silence(waited: Duration) -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, Silence(waited)).into()
}

/// An error of a timeout of the server, and after which time it came.
#[derive(Debug)]
struct Waited {
    after: Duration,
    error: sqlx::Error,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Waited {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// An error of a statement that took this time. If it is one of a timeout, the time becomes part of it.
pub(crate) fn after(error: sqlx::Error, after: Duration) -> sqlx::Error {
    match code(&error).as_deref() {
        Some(LOCK_NOT_AVAILABLE | QUERY_CANCELED) => {
            sqlx::Error::AnyDriverError(Box::new(Waited { after, error }))
        }
        _ => error,
    }
}

/// A refusal for want of a right, and which rights the role lacks.
#[derive(Debug)]
struct Denied {
    rights: Rights,
    error: sqlx::Error,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Denied {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Whether the server refused a statement for want of a right.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(INSUFFICIENT_PRIVILEGE)
}

/// A refusal, with the rights that the role lacks.
pub(crate) fn denied(error: sqlx::Error, rights: Rights) -> sqlx::Error {
    sqlx::Error::AnyDriverError(Box::new(Denied { rights, error }))
}

/// Whether an error is the server's answer to a statement, so that the connection is as before.
pub(crate) fn is_answer(error: &sqlx::Error) -> bool {
    database(error).is_some() || matches!(error, sqlx::Error::Encode(_))
}

/// The server's error.
fn database(error: &sqlx::Error) -> Option<&dyn DatabaseError> {
    match error {
        sqlx::Error::AnyDriverError(inner) => {
            let waited = inner.downcast_ref::<Waited>().map(|waited| &waited.error);
            let denied = || inner.downcast_ref::<Denied>().map(|denied| &denied.error);
            waited.or_else(denied)?.as_database_error()
        }
        error => error.as_database_error(),
    }
}

/// An error as the source of the store's error. An error that is not the server's is its own source.
fn source(error: sqlx::Error) -> BoxError {
    if error.as_database_error().is_some() { ServerMessage::new(error).into() } else { error.into() }
}

/// The store's error for an error of the driver.
pub(crate) fn map(error: sqlx::Error) -> MemoryStoreError {
    match error {
        sqlx::Error::Database(ref database) => {
            match database.try_downcast_ref::<PgDatabaseError>().and_then(of_sqlstate) {
                Some(meaning) => meaning.with_source(error),
                None => postgres(error, false),
            }
        }
        sqlx::Error::AnyDriverError(inner) => match inner.downcast::<Waited>() {
            Ok(waited) => waited_in_vain(*waited),
            Err(inner) => match inner.downcast::<Denied>() {
                Ok(denied) => refused(*denied),
                Err(inner) => postgres(sqlx::Error::AnyDriverError(inner), false),
            },
        },
        sqlx::Error::PoolTimedOut => unavailable(
            "no connection was had in time: the server does not answer, or all are in use; \
             raise max_connections or acquire_timeout, or ask for less at once",
            true,
            error,
        ),
        sqlx::Error::PoolClosed => unavailable("the store has been closed", false, error),
        sqlx::Error::Io(ref broken) => match broken.kind() {
            io::ErrorKind::TimedOut if broken.get_ref().is_some_and(|inner| inner.is::<Silence>()) => {
                let reason = format!(
                    "the server gave {broken}: it, the network or a proxy in between has fallen silent; whether a write was \
                     done is not known, so look, and try again"
                );
                unavailable(&reason, true, error)
            }
            io::ErrorKind::ConnectionRefused => no_server_answers(error),
            io::ErrorKind::NotFound => unavailable(
                "the server's socket, or a certificate that the URL names, is not there; start the server, or mend the URL",
                true,
                error,
            ),
            // How a certificate is refused.
            io::ErrorKind::InvalidData => not_trusted(error),
            _ => postgres(error, true),
        },
        sqlx::Error::Tls(_) => not_trusted(error),
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => postgres(error, true),
        error => postgres(error, false),
    }
}

/// The error for a wait that a timeout of the server ended.
fn waited_in_vain(Waited { after, error }: Waited) -> MemoryStoreError {
    let after = format!("{:.1} s", after.as_secs_f64());
    let reason = match code(&error).as_deref() {
        Some(LOCK_NOT_AVAILABLE) => format!(
            "waited {after} for a lock that another session holds on the memories; end its transaction (pg_stat_activity \
             shows it), or try again; lock_timeout says how long to wait"
        ),
        _ => format!(
            "the server gave the statement up after {after}, most likely by statement_timeout; raise it or ask for less"
        ),
    };
    unavailable(&reason, true, error)
}

/// The error for a statement that the role has no right to, with all rights that it lacks.
fn refused(Denied { rights, error }: Denied) -> MemoryStoreError {
    let message = database(&error).map_or_else(String::new, |error| error.message().to_owned());
    let mut reason = format!("role {} may not do this ({message})", rights.role);
    if !rights.are_complete() {
        reason += &format!("; {rights}");
    }
    if !rights.owns && (rights.are_complete() || message.starts_with("must be owner")) {
        reason += &format!("; do it as {}, who owns the store and may change its schema", rights.owner);
    }
    unavailable(&(reason + "; see the runbook on roles"), false, error)
}

/// [`map`] for the first connection. An unknown host name and an unreachable host have no error kind of their
/// own, so any I/O error but the excluded ones means that no server answers.
pub(crate) fn map_connecting(error: sqlx::Error) -> MemoryStoreError {
    match error {
        sqlx::Error::Io(ref broken)
            if !matches!(broken.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) =>
        {
            no_server_answers(error)
        }
        error => map(error),
    }
}

/// [`map`], where the statement used a vector of a handle that is bound to the model `bound`.
pub(crate) fn map_vector(
    error: sqlx::Error,
    bound: Option<&ModelSignature>,
    dimension: usize,
) -> MemoryStoreError {
    let registered = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .filter(|error| error.code() == OTHER_MODEL)
        .and_then(|error| registered_model(error.detail()?));
    match (registered, bound) {
        (Some(registered), Some(bound)) if registered != *bound => {
            MemoryStoreError::model_mismatch(&registered, bound)
        }
        (Some(registered), _) => {
            MemoryStoreError::model_mismatch(&registered, ActualModel::Dimension(dimension))
        }
        (None, _) => map(error),
    }
}

/// An error of a migration.
pub(crate) fn migration(error: impl Into<BoxError>) -> MemoryStoreError {
    MemoryStoreError::backend(BACKEND, error, false)
}

/// Whether another transaction added the same row, or removed a row that this one refers to.
pub(crate) fn is_concurrent_change(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() || error.is_foreign_key_violation())
}

/// Whether the cause of an error is the server, the network or a privilege, and not the statement.
pub(crate) fn is_of_server(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        error => code(error).is_some_and(|code| {
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
                || ["25006", INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE].contains(&code.as_str())
        }),
    }
}

/// The SQLSTATE of an error.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    database(error)?.code().map(|code| code.into_owned())
}

/// The error for a value in the database that is invalid.
pub(crate) fn damaged(what: impl Into<String>, reason: impl Into<String>) -> MemoryStoreError {
    MemoryStoreError::Damaged { what: what.into(), reason: reason.into(), source: None }
}

fn postgres(error: sqlx::Error, retryable: bool) -> MemoryStoreError {
    MemoryStoreError::backend(BACKEND, source(error), retryable)
}

fn unavailable(reason: &str, retryable: bool, error: sqlx::Error) -> MemoryStoreError {
    MemoryStoreError::Unavailable { reason: reason.to_owned(), retryable, source: Some(source(error)) }
}

fn no_server_answers(error: sqlx::Error) -> MemoryStoreError {
    unavailable("no PostgreSQL server answers at this address; start it, or mend the URL", true, error)
}

fn not_trusted(error: sqlx::Error) -> MemoryStoreError {
    unavailable(
        "the server's TLS certificate or mode is not accepted; see sslmode and sslrootcert in the URL",
        false,
        error,
    )
}

/// What a SQLSTATE means. The error itself is added as the source afterwards.
enum Meaning {
    Complete(MemoryStoreError),
    Retry,
    Unavailable { reason: String, retryable: bool },
    Damaged { reason: String },
}

impl Meaning {
    fn with_source(self, error: sqlx::Error) -> MemoryStoreError {
        match self {
            Self::Complete(meaning) => meaning,
            Self::Retry => postgres(error, true),
            Self::Unavailable { reason, retryable } => unavailable(&reason, retryable, error),
            Self::Damaged { reason } => MemoryStoreError::Damaged {
                what: "the database".to_owned(),
                reason,
                source: Some(source(error)),
            },
        }
    }
}

fn of_sqlstate(error: &PgDatabaseError) -> Option<Meaning> {
    let unavailable = |reason: &str, retryable| Meaning::Unavailable { reason: reason.to_owned(), retryable };
    let meaning = match error.code() {
        NO_MODEL => Meaning::Complete(MemoryStoreError::ModelNotRegistered),
        OTHER_MODEL => {
            let registered = error.detail().and_then(registered_model)?;
            let actual = ActualModel::Dimension(registered.dimension);
            Meaning::Complete(MemoryStoreError::model_mismatch(&registered, actual))
        }
        OTHER_ANALYSIS => unavailable(
            "another version of Vestige has analysed its words anew since this program opened it; restart this \
             program, and use one version of Vestige for this store",
            false,
        ),
        "23505" => Meaning::Complete(MemoryStoreError::already_exists(entity(error.table()), key(error))),
        "23503" => Meaning::Complete(of_reference(error)),
        "40001" | "40P01" | "55P03" => Meaning::Retry,
        "57P01" | "57P02" | "57P05" | "25P03" => Meaning::Retry,
        code if code.starts_with("08") => Meaning::Retry,
        "57P03" => unavailable("the server is starting or shutting down", true),
        "57014" | "25P04" => unavailable(
            "the server gave the statement up, most likely after statement_timeout; raise it or ask for less",
            true,
        ),
        "26000" | "42P05" => unavailable(
            "the server's process is not the one of the last statement, as behind PgBouncer in transaction mode; \
             write ?statement-cache-capacity=0 in the URL",
            false,
        ),
        "53300" => {
            unavailable("the server has no connection left; raise its max_connections or pool fewer", true)
        }
        "53100" => unavailable("the server's disk is full (or its shared memory); make room there", false),
        "53200" => unavailable("the server is out of memory", true),
        "53400" => {
            unavailable("a limit set on the server is exceeded, such as temp_file_limit; raise it", false)
        }
        "28P01" | "28000" => {
            unavailable("the server refuses this user or password, or the way in (pg_hba.conf)", false)
        }
        "3D000" | "57P04" => unavailable("this database does not exist; create it first", false),
        INSUFFICIENT_PRIVILEGE => Meaning::Unavailable {
            reason: format!("the role may not do this: {}; see the runbook on privileges", error.message()),
            retryable: false,
        },
        "25006" => Meaning::Complete(MemoryStoreError::ReadOnly),
        "22021" | "22P05" => Meaning::Complete(MemoryStoreError::invalid(
            "text",
            "holds a character that PostgreSQL cannot store, such as U+0000",
        )),
        "42P01" => Meaning::Damaged {
            reason: format!("{}; it holds no Vestige store, or not a whole one", error.message()),
        },
        "XX001" | "XX002" => Meaning::Damaged { reason: format!("{}; restore a backup", error.message()) },
        _ => return None,
    };
    Some(meaning)
}

/// A row refers to something that is not there.
fn of_reference(error: &PgDatabaseError) -> MemoryStoreError {
    let constraint = error.constraint().unwrap_or_default();
    if constraint.starts_with("knowledge_nodes_owner_user_id") {
        return MemoryStoreError::invalid("owner_user_id", format!("there is no user {}", key(error)));
    }
    let missing = if constraint.contains("_user_id") {
        "user"
    } else if constraint.contains("_group_id") {
        "group"
    } else {
        "memory"
    };
    MemoryStoreError::not_found(missing, key(error))
}

fn entity(table: Option<&str>) -> &'static str {
    match table {
        Some("users") => "user",
        Some("groups") => "group",
        Some("group_memberships") => "membership",
        Some("edges") => "edge",
        Some("review_events") => "review event",
        Some("domains") => "domain",
        _ => "memory",
    }
}

/// The key in a detail such as `Key (id)=(…) already exists.`, whatever the server's language.
fn key(error: &PgDatabaseError) -> String {
    let detail = error.detail().unwrap_or_default();
    let key = detail.split_once("=(").and_then(|(_, rest)| rest.rsplit_once(')').map(|(key, _)| key));
    key.unwrap_or("of this row").to_owned()
}

fn registered_model(detail: &str) -> Option<ModelSignature> {
    serde_json::from_str(detail).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(kind: io::ErrorKind) -> sqlx::Error {
        sqlx::Error::Io(kind.into())
    }

    #[test]
    fn what_cannot_be_reached_may_come_back_and_what_is_not_trusted_does_not() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut, io::ErrorKind::Other] {
            let error = map_connecting(broken(kind));
            assert!(matches!(error, MemoryStoreError::Unavailable { retryable: true, .. }), "{error:?}");
            assert!(error.to_string().contains("no PostgreSQL server answers"), "{error}");
        }
        for error in
            [map_connecting(broken(io::ErrorKind::InvalidData)), map(broken(io::ErrorKind::InvalidData))]
        {
            assert!(matches!(error, MemoryStoreError::Unavailable { retryable: false, .. }), "{error:?}");
            assert!(error.to_string().contains("TLS"), "{error}");
        }
        assert!(map_connecting(broken(io::ErrorKind::NotFound)).to_string().contains("is not there"));
        let lost = map(broken(io::ErrorKind::ConnectionReset));
        assert!(matches!(lost, MemoryStoreError::Backend { retryable: true, .. }), "{lost:?}");
    }
}
