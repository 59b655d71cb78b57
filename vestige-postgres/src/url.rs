//! Reads the URL without repeating any part of it in errors or logs. If a character of the password is not
//! encoded, every part may hold a piece of the password, and the errors and log lines of the driver quote the
//! parts.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tracing::subscriber::{NoSubscriber, with_default};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

/// The parameters that the driver understands.
const UNDERSTOOD: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// The parameters of libpq that the driver does not understand. They are ignored, so that the URL of a
/// managed service works as it is.
/// <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
const IGNORED: &[&str] = &[
    "channel_binding",
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "target_session_attrs",
];

/// The parameters about a connection that falls silent, which the driver does not understand, and the setting
/// of the server that does the same at its end of the connection. `keepalives` turns those of its name on or
/// off.
const OF_TCP: &[(&str, &str)] = &[
    ("keepalives", ""),
    ("keepalives_count", "tcp_keepalives_count"),
    ("keepalives_idle", "tcp_keepalives_idle"),
    ("keepalives_interval", "tcp_keepalives_interval"),
    ("tcp_user_timeout", "tcp_user_timeout"),
];
const CONNECT_TIMEOUT: &str = "connect_timeout";
/// What `connect_timeout=0` means: no limit.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a URL says.
#[derive(Debug)]
pub(crate) struct Url {
    pub(crate) options: PgConnectOptions,
    pub(crate) connect_timeout: Option<Duration>,
    /// Settings of the server for each connection.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// The connection options in a URL. Missing ones come from the variables of libpq (`PGPASSWORD` and so on)
/// and from `~/.pgpass`, as in the driver.
pub(crate) fn read(url: &str) -> MemoryStoreResult<Url> {
    // The driver ignores the scheme, and everything after a `#`.
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_postgres || url.contains('#') {
        return Err(unreadable());
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    // An `@` after a `/` means that the password has a `/` in it, and its first part was read as a port.
    if base.splitn(4, '/').nth(3).is_some_and(|path| path.contains('@')) {
        return Err(unreadable());
    }
    let mut understood = Vec::new();
    let (mut connect_timeout, mut settings, mut keepalives) = (None, Vec::new(), true);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_setting = name.starts_with("options[") || name.starts_with("options%5B");
        if is_setting || UNDERSTOOD.contains(&name) {
            understood.push((name, pair));
        } else if name == CONNECT_TIMEOUT {
            let seconds = number(name, value)?;
            connect_timeout = Some(if seconds == 0 { FOR_EVER } else { Duration::from_secs(seconds.into()) });
        } else if let Some((_, setting)) = OF_TCP.iter().find(|(parameter, _)| *parameter == name) {
            let value = number(name, value)?;
            if setting.is_empty() {
                keepalives = value != 0;
            } else {
                settings.push((*setting, value.to_string()));
            }
        } else if IGNORED.contains(&name) {
            tracing::warn!(parameter = name, "this parameter of the URL is passed over");
        } else {
            return Err(MemoryStoreError::invalid("url", "has a parameter that PostgreSQL does not know"));
        }
    }
    if !keepalives {
        // So long that none is ever sent.
        settings.retain(|(name, _)| !name.starts_with("tcp_keepalives"));
        settings.push(("tcp_keepalives_idle", "32767".to_owned()));
    }
    let pairs: Vec<&str> = understood.iter().map(|(_, pair)| *pair).collect();
    let options = without_logs(&format!("{base}?{}", pairs.join("&"))).ok_or_else(|| {
        let wrong = understood.iter().find(|(_, pair)| without_logs(&format!("{base}?{pair}")).is_none());
        match wrong {
            Some((name, _)) if without_logs(base).is_some() => impossible(name),
            _ => unreadable(),
        }
    })?;
    Ok(Url { options, connect_timeout, settings })
}

fn number(name: &str, value: &str) -> MemoryStoreResult<u32> {
    value.parse().ok().filter(|value| *value <= i32::MAX as u32).ok_or_else(|| impossible(name))
}

fn impossible(name: &str) -> MemoryStoreError {
    MemoryStoreError::invalid("url", format!("has a value for {name} that cannot be"))
}

/// Reads a URL by the driver without its logs: it logs the lines of `~/.pgpass` that it cannot read.
fn without_logs(url: &str) -> Option<PgConnectOptions> {
    let options = with_default(NoSubscriber::default(), || PgConnectOptions::from_str(url)).ok()?;
    // The driver treats the brackets around an IPv6 address as part of the host name.
    let address =
        options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    Some(match address {
        Some(address) => options.host(&address),
        None => options,
    })
}

fn unreadable() -> MemoryStoreError {
    MemoryStoreError::invalid(
        "url",
        "is no PostgreSQL URL; write postgres://user@host:port/database, special characters percent-encoded",
    )
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span;

    use super::*;

    /// Everything that is logged, whatever its level.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<String>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
        }
    }

    impl tracing::Subscriber for Log {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    /// What reading a URL says: to the caller, and to the log.
    fn said(url: &str) -> (Result<(), String>, String) {
        let log = Log::default();
        let read = with_default(log.clone(), || read(url));
        let logged = log.0.lock().unwrap().clone();
        (read.map(drop).map_err(|error| format!("{error} {error:?}")), logged)
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_being_shown() {
        for url in [
            "",
            "s3cret",
            "mysql://me:s3cret@host/db",
            "host=db.example user=me password=s3cret",
            "postgres://me:s3cret@host:port/db",
            "postgres://me:12/s3cret@host/db",
            "postgres://me:12#s3cret@host/db",
            "postgres://me:12?s3cret@host/db",
            "postgres://me:12?x&s3cret=y@host/db",
            "postgres://me@host/db?passwort=s3cret",
            "postgres://me@host/db?PASSWORD=s3cret",
            "postgres://me:s3cret%FF@host/db",
            "postgres://me@host/db?sslmode=s3cret",
            "postgres://me@host/db?port=s3cret&password=s3cret",
            "postgres://me@host/db?statement-cache-capacity=s3cret",
            "postgres://me@host/db?connect_timeout=s3cret",
            "postgres://me@host/db?keepalives_idle=s3cret",
        ] {
            let (read, logged) = said(url);
            let error = read.expect_err(url);
            assert!(error.contains("url") && !error.contains("s3cret"), "{url}: {error}");
            assert!(!logged.contains("s3cret"), "{url}: {logged}");
        }
    }

    #[test]
    fn what_the_driver_does_not_know_is_passed_over_by_name_alone() {
        let (read, logged) = said("postgres://me@host/db?sslpassword=s3cret&channel_binding=require");
        read.unwrap();
        assert!(logged.contains("sslpassword") && logged.contains("channel_binding"), "{logged}");
        assert!(!logged.contains("s3cret"), "{logged}");
    }

    #[test]
    fn a_wrong_value_is_told_by_its_name() {
        let (read, _) = said("postgres://me@host/db?port=5432&sslmode=always");
        assert!(read.unwrap_err().contains("a value for sslmode"));
    }

    #[test]
    fn what_the_driver_understands_reaches_it() {
        let url =
            "postgres://me%40home:p%40ss@db.example:5433/my%20db?application_name=a%26b&sslmode=require";
        let options = read(url).unwrap().options;
        assert_eq!((options.get_username(), options.get_port()), ("me@home", 5433));
        assert_eq!(options.get_database(), Some("my db"));
        assert_eq!(options.get_application_name(), Some("a&b"));
        let options =
            read("postgresql:///db?host=/run/postgresql&options[search_path]=mine&user=me").unwrap().options;
        assert!(options.get_socket().is_some() && options.get_username() == "me");
        assert_eq!(options.get_options(), Some("-c search_path=mine"));
    }

    #[test]
    fn timeouts_and_keepalives_are_honoured() {
        let url = "postgres://me@host/db?connect_timeout=7&keepalives_idle=30&tcp_user_timeout=5000";
        let read_url = read(url).unwrap();
        assert_eq!(read_url.connect_timeout, Some(Duration::from_secs(7)));
        let settings = [("tcp_keepalives_idle", "30".to_owned()), ("tcp_user_timeout", "5000".to_owned())];
        assert_eq!(read_url.settings, settings);
        let off = read("postgres://me@host/db?keepalives=0&keepalives_idle=30").unwrap();
        assert_eq!(off.settings, [("tcp_keepalives_idle", "32767".to_owned())]);
        assert_eq!(off.connect_timeout, None);
    }
}
