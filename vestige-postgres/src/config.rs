//! The options of a store: connections, timeouts, and how searches trade exactness for speed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use vestige_traits::clock::{Clock, SystemClock};
use vestige_traits::{MemoryStoreError, MemoryStoreResult};

use crate::limits::{self, Limits, Timeout};
use crate::session::keeps_statements;
use crate::url::{self, Url};

/// The most connections that a server takes: `MAX_BACKENDS` of its source.
const MAX_CONNECTIONS: u32 = 262_143;
/// The longest timeout that a server takes.
const MAX_STATEMENT_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// How searches trade exactness for speed. The defaults suit stores of up to a few hundred thousand memories.
///
/// Settings may come to be added, so they are changed one by one:
///
/// ```
/// use vestige_postgres::{PgMemoryStore, SearchSettings};
///
/// let mut settings = SearchSettings::default();
/// settings.ef_search = 400;
/// settings.exact_memories = 20_000;
/// let builder = PgMemoryStore::builder("postgres://ada@db.example/vestige").search(settings);
/// ```
///
/// [`connect`](PgMemoryStoreBuilder::connect) refuses a value out of range.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchSettings {
    /// How many nearest candidates a scan of the HNSW index keeps, 1 to 1,000 (`hnsw.ef_search`). A larger
    /// number finds more of the true neighbours and takes longer. A search never uses less than the depth of
    /// its vector leg. 200 by default.
    pub ef_search: u32,
    /// How many vectors a search without a filter may visit in the HNSW index to find enough memories without
    /// an excluded word (`hnsw.max_scan_tuples`). After that it compares every matching vector. 1 to 2³¹ - 1,
    /// 20,000 by default.
    pub max_scan_tuples: u32,
    /// In a store with fewer memories every vector is compared, and the result is exact. Any number, 5,000 by
    /// default.
    pub exact_memories: u32,
    /// How many vectors can be compared one by one in the time that the HNSW index takes to visit one. If a
    /// filter lets so few memories through that comparing them all is faster, all are compared, and the
    /// result is exact. 0 to 1,000,000, 5 by default.
    pub visit_cost: f64,
    /// In a store with fewer memories and further passages of long ones, every memory that holds a word of
    /// the question is ranked, and the order is exact. In a larger store common words bring candidates only
    /// if the rarer words bring too few. Any number, 20,000 by default.
    pub exact_words: u32,
    /// The number of candidates from the rarer words from which common words bring no more. Any number, 2,000
    /// by default.
    pub word_candidates: u32,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            ef_search: 200,
            max_scan_tuples: 20_000,
            exact_memories: 5_000,
            visit_cost: 5.0,
            exact_words: 20_000,
            word_candidates: 2_000,
        }
    }
}

impl SearchSettings {
    fn validate(&self) -> MemoryStoreResult<()> {
        if !(1..=1000).contains(&self.ef_search) {
            return Err(MemoryStoreError::invalid(
                "ef_search",
                format!("is {}, must be 1 to 1000", self.ef_search),
            ));
        }
        if !(0.0..=1e6).contains(&self.visit_cost) {
            return Err(MemoryStoreError::invalid(
                "visit_cost",
                format!("is {}, must be 0 to 1000000", self.visit_cost),
            ));
        }
        if !(1..=i32::MAX as u32).contains(&self.max_scan_tuples) {
            return Err(MemoryStoreError::invalid(
                "max_scan_tuples",
                format!("is {}, must be 1 to {}", self.max_scan_tuples, i32::MAX),
            ));
        }
        Ok(())
    }
}

/// Options of a [`PgMemoryStore`](crate::PgMemoryStore). Made by
/// [`PgMemoryStore::builder`](crate::PgMemoryStore::builder).
#[derive(Clone)]
pub struct PgMemoryStoreBuilder {
    url: String,
    pub(crate) max_connections: u32,
    pub(crate) min_connections: u32,
    acquire_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    statement_timeout: Timeout,
    lock_timeout: Timeout,
    application_name: Option<String>,
    statement_cache_capacity: Option<usize>,
    pub(crate) read_only: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) search: SearchSettings,
}

impl PgMemoryStoreBuilder {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 10,
            min_connections: 0,
            acquire_timeout: None,
            idle_timeout: Some(Duration::from_secs(600)),
            max_lifetime: Some(Duration::from_secs(1800)),
            statement_timeout: Timeout::Default,
            lock_timeout: Timeout::Default,
            application_name: None,
            statement_cache_capacity: None,
            read_only: false,
            clock: Arc::new(SystemClock),
            search: SearchSettings::default(),
        }
    }

    /// The most connections the store holds at a time, 1 to 262,143. 10 by default.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many idle connections are kept open, at most `max_connections`. 0 by default.
    #[must_use]
    pub fn min_connections(mut self, connections: u32) -> Self {
        self.min_connections = connections;
        self
    }

    /// How long an operation waits for a connection of the pool, and a new connection for the server. By
    /// default the `connect_timeout` of the URL, or 10 seconds.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = Some(timeout);
        self
    }

    /// After how long an idle connection is closed; `None` keeps it open. 10 minutes by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// After how long a connection is replaced by a new one; `None` keeps it. 30 minutes by default.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = lifetime.into();
        self
    }

    /// After how long the server cancels a statement, in whole milliseconds from 1. `None` keeps the setting
    /// of the server or the role. By default the `statement_timeout` of the URL's options, or what the role
    /// or the server sets, or else 30 seconds, and 10 minutes for what works on many rows: batches, pages of
    /// a transfer, statistics.
    ///
    /// If the server has not answered five seconds after that, the connection is given up, and the operation
    /// fails. Migrations, index builds and `vacuum` are not limited by it. The setting is sent when a
    /// connection starts; with a statement cache of 0 it is sent with each transaction. If PgBouncer in
    /// session mode refuses it, set it for the role (`ALTER ROLE … SET statement_timeout`).
    #[must_use]
    pub fn statement_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.statement_timeout = timeout.into().map_or(Timeout::Server, Timeout::Given);
        self
    }

    /// For how long a statement waits for a lock that another session holds, in whole milliseconds from 1.
    /// `None` keeps the setting of the server or the role. By default the `lock_timeout` of the URL's
    /// options, or what the role or the server sets, or else 15 seconds. Limits the same operations as
    /// [`statement_timeout`](Self::statement_timeout).
    #[must_use]
    pub fn lock_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.lock_timeout = timeout.into().map_or(Timeout::Server, Timeout::Given);
        self
    }

    /// The name that `pg_stat_activity` shows. By default the `application_name` of the URL, or `vestige`.
    #[must_use]
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// How many prepared statements each connection keeps. By default the `statement-cache-capacity` of the
    /// URL, or 100.
    ///
    /// With 0 every statement runs in a transaction, and nothing on the server outlives the transaction.
    /// PgBouncer's transaction mode needs this.
    #[must_use]
    pub fn statement_cache_capacity(mut self, capacity: usize) -> Self {
        self.statement_cache_capacity = Some(capacity);
        self
    }

    /// Whether the store is only read. It is then neither migrated nor changed, and writes fail with
    /// [`ReadOnly`](MemoryStoreError::ReadOnly). `false` by default.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The clock of the store. The machine's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How searches trade exactness for speed.
    #[must_use]
    pub fn search(mut self, settings: SearchSettings) -> Self {
        self.search = settings;
        self
    }

    fn validate(&self) -> MemoryStoreResult<()> {
        self.search.validate()?;
        if !(1..=MAX_CONNECTIONS).contains(&self.max_connections) {
            let rule = format!("is {}, must be 1 to {MAX_CONNECTIONS}", self.max_connections);
            return Err(MemoryStoreError::invalid("max_connections", rule));
        }
        if self.min_connections > self.max_connections {
            let rule = format!("is {}, and max_connections {}", self.min_connections, self.max_connections);
            return Err(MemoryStoreError::invalid("min_connections", rule));
        }
        let allowed = Duration::from_millis(1)..=MAX_STATEMENT_TIMEOUT;
        for (name, timeout) in
            [("statement_timeout", self.statement_timeout), ("lock_timeout", self.lock_timeout)]
        {
            if let Timeout::Given(timeout) = timeout
                && !allowed.contains(&timeout)
            {
                let rule =
                    format!("is {timeout:?}, must be 1 ms to {} ms", MAX_STATEMENT_TIMEOUT.as_millis());
                return Err(MemoryStoreError::invalid(name, rule));
            }
        }
        Ok(())
    }

    /// Validates the settings, and reads the URL.
    pub(crate) fn connecting(&self) -> MemoryStoreResult<Connecting> {
        self.validate()?;
        let Url { options, connect_timeout, settings } = url::read(&self.url)?;
        let name = self
            .application_name
            .as_deref()
            .or(options.get_application_name())
            .unwrap_or("vestige")
            .to_owned();
        // The digits of floats in text form. Nothing is read in text form, and PgBouncer refuses to pass it
        // on.
        let mut options = options.application_name(&name).extra_float_digits(None);
        if let Some(capacity) = self.statement_cache_capacity {
            options = options.statement_cache_capacity(capacity);
        }
        let of_url = |name| limits::timeout_in_options(options.get_options().unwrap_or_default(), name);
        let or_of_url = |timeout, name| match timeout {
            Timeout::Default => of_url(name).unwrap_or_default(),
            timeout => timeout,
        };
        let limits = Limits {
            statement: or_of_url(self.statement_timeout, "statement_timeout"),
            lock: or_of_url(self.lock_timeout, "lock_timeout"),
            of_pool: false,
        };
        if keeps_statements(&options) {
            options = options.options(limits.of_startup());
        }
        let timeout = self.acquire_timeout.or(connect_timeout).unwrap_or(Duration::from_secs(10));
        Ok(Connecting { options, limits, settings, timeout })
    }
}

/// How a store connects.
pub(crate) struct Connecting {
    pub(crate) options: PgConnectOptions,
    pub(crate) limits: Limits,
    /// Settings of the server that each connection gets, by the URL.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// How long a connection is waited for.
    pub(crate) timeout: Duration,
}

impl fmt::Debug for PgMemoryStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        f.debug_struct("PgMemoryStoreBuilder")
            .field("max_connections", &self.max_connections)
            .field("min_connections", &self.min_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("application_name", &self.application_name)
            .field("statement_cache_capacity", &self.statement_cache_capacity)
            .field("read_only", &self.read_only)
            .field("clock", &self.clock)
            .field("search", &self.search)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let builder = PgMemoryStoreBuilder::new("postgres://me:s3cret@db.example/memory");
        assert!(!format!("{builder:?}").contains("s3cret"));
    }

    #[test]
    fn an_impossible_setting_is_refused_by_name() {
        let url = "postgres://me:s3cret@127.0.0.1:1/memory";
        let builder = || PgMemoryStoreBuilder::new(url);
        let search = SearchSettings::default();
        for (builder, field) in [
            (PgMemoryStoreBuilder::new("s3cret"), "url"),
            (builder().max_connections(0), "max_connections"),
            (builder().max_connections(u32::MAX), "max_connections"),
            (builder().max_connections(2).min_connections(3), "min_connections"),
            (builder().statement_timeout(Duration::ZERO), "statement_timeout"),
            (builder().statement_timeout(Duration::from_micros(500)), "statement_timeout"),
            (builder().statement_timeout(Duration::MAX), "statement_timeout"),
            (builder().lock_timeout(Duration::ZERO), "lock_timeout"),
            (builder().search(SearchSettings { ef_search: 0, ..search }), "ef_search"),
            (builder().search(SearchSettings { ef_search: 1001, ..search }), "ef_search"),
            (builder().search(SearchSettings { max_scan_tuples: 0, ..search }), "max_scan_tuples"),
            (builder().search(SearchSettings { max_scan_tuples: 1 << 31, ..search }), "max_scan_tuples"),
            (builder().search(SearchSettings { visit_cost: -0.1, ..search }), "visit_cost"),
            (builder().search(SearchSettings { visit_cost: 1_000_000.1, ..search }), "visit_cost"),
            (builder().search(SearchSettings { visit_cost: f64::NAN, ..search }), "visit_cost"),
        ] {
            let error = builder.connecting().map(drop).expect_err(field);
            assert!(
                matches!(&error, MemoryStoreError::InvalidInput { field: found, .. } if found == field),
                "{error:?}"
            );
        }
    }

    #[test]
    fn the_ends_of_the_documented_ranges_are_taken() {
        let least = SearchSettings {
            ef_search: 1,
            max_scan_tuples: 1,
            exact_memories: 0,
            visit_cost: 0.0,
            exact_words: 0,
            word_candidates: 0,
        };
        let most = SearchSettings {
            ef_search: 1000,
            max_scan_tuples: i32::MAX as u32,
            exact_memories: u32::MAX,
            visit_cost: 1e6,
            exact_words: u32::MAX,
            word_candidates: u32::MAX,
        };
        for settings in [least, most, SearchSettings::default()] {
            settings.validate().unwrap();
        }
    }

    #[test]
    fn the_name_in_pg_stat_activity_is_the_builders_the_urls_or_vestige() {
        let name = |builder: PgMemoryStoreBuilder| {
            builder.connecting().map(|to| to.options.get_application_name().map(str::to_owned))
        };
        let (plain, named) = ("postgres://h/db", "postgres://h/db?application_name=laptop");
        assert_eq!(name(PgMemoryStoreBuilder::new(plain)).unwrap().as_deref(), Some("vestige"));
        assert_eq!(name(PgMemoryStoreBuilder::new(named)).unwrap().as_deref(), Some("laptop"));
        let both = PgMemoryStoreBuilder::new(named).application_name("agent");
        assert_eq!(name(both).unwrap().as_deref(), Some("agent"));
    }
}
