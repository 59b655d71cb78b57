//! For how long operations wait: for a statement, for a lock, for an answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// After how long the server cancels a statement, unless it is told otherwise.
const STATEMENT: Duration = Duration::from_secs(30);
/// The same for a statement of a batch, whose work grows with what is given or stored.
const BATCH: Duration = Duration::from_secs(600);
/// For how long a statement waits for a lock, unless it is told otherwise.
const LOCK: Duration = Duration::from_secs(15);
/// How much later than the server's own limit its answer is no longer waited for.
const GRACE: Duration = Duration::from_secs(5);
/// What a connection sets where neither the server, nor the role, nor the URL does.
///
/// The server looks every second whether the client is still there, and ends what nobody waits for. It cannot
/// on Windows. The settings of TCP are those of the server's end of the connection; they count on a
/// machine or a network that is gone, and do nothing on a socket of the machine itself.
const OF_CONNECTION: &[(&str, &str)] = &[
    ("client_connection_check_interval", "1000"),
    ("tcp_keepalives_idle", "60"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "6"),
    ("tcp_user_timeout", "60000"),
];

/// After BEGIN: lets the server look, until the transaction ends, whether the client is still there. For
/// connections that do not set it for themselves.
const WATCH_CLIENT: &str = "; SELECT pg_catalog.set_config('client_connection_check_interval', '1000', true)
     WHERE pg_catalog.current_setting('client_connection_check_interval') = '0'
       AND pg_catalog.version() !~ 'windows|mingw|msvc'";

/// What limits the statements of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A statement that a caller waits for.
    Statement,
    /// A statement whose work grows with what is given or stored.
    Batch,
    /// Nothing: migrations and index builds.
    None,
}

/// A timeout of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// This module's own.
    #[default]
    Default,
    /// The server's.
    Server,
    /// The one in the URL; none if there is no limit, or if it cannot be read.
    Url(Option<Duration>),
    Given(Duration),
}

/// The `statement_timeout` that connections have, once one has been opened; zero is no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServedTimeout(Arc<OnceLock<Duration>>);

impl ServedTimeout {
    pub(crate) fn set(&self, milliseconds: u64) {
        // The first connection speaks for all.
        let _ = self.0.set(Duration::from_millis(milliseconds));
    }

    fn get(&self) -> Option<Duration> {
        self.0.get().copied()
    }
}

/// The timeouts of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) statement: Timeout,
    pub(crate) lock: Timeout,
    /// Whether the caller made the connections, so that no setting of this module is theirs.
    pub(crate) of_pool: bool,
}

impl Limits {
    /// Those of a pool that the caller made: no others than it has.
    pub(crate) const OF_POOL: Self =
        Self { statement: Timeout::Server, lock: Timeout::Server, of_pool: true };

    /// For how long the server may be silent after a statement was sent.
    pub(crate) fn patience(&self, limit: Limit, served: &ServedTimeout) -> Option<Duration> {
        let timeout = match (limit, self.statement) {
            (Limit::None, _) => None,
            // The role, the database or the server says how long a statement may take.
            (_, Timeout::Default) if served.get().is_some_and(|served| served != STATEMENT) => {
                served.get().filter(|served| !served.is_zero())
            }
            (Limit::Statement, Timeout::Default) => Some(STATEMENT),
            (Limit::Batch, Timeout::Default) => Some(BATCH),
            (_, Timeout::Server) => None,
            (_, Timeout::Url(timeout)) => timeout,
            (_, Timeout::Given(timeout)) => Some(timeout),
        };
        timeout.map(|timeout| timeout.saturating_add(GRACE))
    }

    /// The statements after BEGIN that give a transaction its limits.
    pub(crate) fn of_transaction(&self, limit: Limit, keeps_settings: bool) -> String {
        let watch = if self.of_pool || !keeps_settings { WATCH_CLIENT } else { "" };
        if limit == Limit::None {
            return format!("; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0{watch}");
        }
        let mut statements = watch.to_owned();
        let statement = if limit == Limit::Batch { BATCH } else { STATEMENT };
        for (name, timeout, usual, wanted) in [
            ("statement_timeout", self.statement, STATEMENT, statement),
            ("lock_timeout", self.lock, LOCK, LOCK),
        ] {
            match timeout {
                Timeout::Given(given) if !keeps_settings => {
                    statements += &format!("; SET LOCAL {name} = {}", given.as_millis());
                }
                // What the server or the role sets stays.
                Timeout::Default if !keeps_settings || wanted != usual => {
                    let (usual, wanted) = (usual.as_secs(), wanted.as_millis());
                    statements += &format!(
                        "; SELECT pg_catalog.set_config('{name}', '{wanted}', true)
                         WHERE pg_catalog.current_setting('{name}') IN ('0', '{usual}s')"
                    );
                }
                _ => {}
            }
        }
        statements
    }

    /// The options of a new connection.
    pub(crate) fn of_startup(&self) -> Vec<(&'static str, String)> {
        [("statement_timeout", self.statement), ("lock_timeout", self.lock)]
            .into_iter()
            .filter_map(|(name, timeout)| match timeout {
                Timeout::Given(given) => Some((name, given.as_millis().to_string())),
                _ => None,
            })
            .collect()
    }

    /// The statement that gives a new connection its settings. Those of `given` are set in any case, the
    /// others where nothing else sets them.
    pub(crate) fn of_connection(&self, given: &[(&'static str, String)]) -> String {
        let mut wanted: Vec<(&str, String, bool)> =
            given.iter().map(|(name, value)| (*name, value.clone(), true)).collect();
        for (name, timeout, usual) in
            [("statement_timeout", self.statement, STATEMENT), ("lock_timeout", self.lock, LOCK)]
        {
            if timeout == Timeout::Default {
                wanted.push((name, usual.as_millis().to_string(), false));
            }
        }
        for (name, value) in OF_CONNECTION {
            if given.iter().all(|(given, _)| given != name) {
                wanted.push((name, (*value).to_owned(), false));
            }
        }
        let rows: Vec<String> =
            wanted.iter().map(|(name, value, always)| format!("('{name}', '{value}', {always})")).collect();
        format!(
            "SELECT pg_catalog.set_config(name, value, false)
             FROM (VALUES {}) AS wanted (name, value, always)
             JOIN pg_catalog.pg_settings AS known USING (name)
             WHERE (always OR known.source = 'default')
               AND (name <> 'client_connection_check_interval' OR pg_catalog.version() !~ 'windows|mingw|msvc')",
            rows.join(", ")
        )
    }
}

/// A timeout as the server reads it: a number of milliseconds, or a number with a unit. None for no limit, or
/// for what is no timeout.
pub(crate) fn parse_timeout(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('\'');
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?)).filter(|timeout| !timeout.is_zero())
}

/// The timeout of this name in the options of a connection, such as `-c statement_timeout=5s`; none where it
/// is not named.
pub(crate) fn timeout_in_options(options: &str, name: &str) -> Option<Timeout> {
    let (_, rest) = options.rsplit_once(name)?;
    let value = rest.strip_prefix('=')?;
    Some(Timeout::Url(parse_timeout(value.split(' ').next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_server_reads_it() {
        for (text, expected) in [
            ("5000", Some(5000)),
            ("5s", Some(5000)),
            ("1min", Some(60_000)),
            ("'250 ms'", Some(250)),
            ("0", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_timeout(text), expected.map(Duration::from_millis), "{text}");
        }
        let options = "-c search_path=a -c statement_timeout=5s -c lock_timeout=0";
        let five = Timeout::Url(Some(Duration::from_secs(5)));
        assert_eq!(timeout_in_options(options, "statement_timeout"), Some(five));
        assert_eq!(timeout_in_options(options, "lock_timeout"), Some(Timeout::Url(None)));
        assert_eq!(timeout_in_options("-c work_mem=64MB", "lock_timeout"), None);
    }

    #[test]
    fn the_server_gives_up_before_the_client_does() {
        let served = ServedTimeout::default();
        for statement in [Timeout::Default, Timeout::Given(Duration::from_secs(7))] {
            let limits = Limits { statement, lock: Timeout::Default, of_pool: false };
            assert!(limits.patience(Limit::Statement, &served) > Some(Duration::from_secs(7)));
            assert_eq!(limits.patience(Limit::None, &served), None);
        }
        assert_eq!(Limits::OF_POOL.patience(Limit::Batch, &served), None);

        // A role that is given more time, or any time, has it here, too.
        let limits = Limits { statement: Timeout::Default, lock: Timeout::Default, of_pool: false };
        for (milliseconds, expected) in [(30_000, Some(35)), (300_000, Some(305)), (0, None)] {
            let served = ServedTimeout::default();
            served.set(milliseconds);
            let expected = expected.map(Duration::from_secs);
            assert_eq!(limits.patience(Limit::Statement, &served), expected, "{milliseconds}");
        }
    }
}
