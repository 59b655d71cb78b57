use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vestige_traits::clock::{Clock, SystemClock};

/// Settings of a [`SqliteMemoryStore`](crate::SqliteMemoryStore), beside its path.
#[derive(Clone, Debug)]
pub struct SqliteMemoryStoreBuilder {
    pub(crate) path: PathBuf,
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    pub(crate) readers: NonZeroUsize,
    pub(crate) busy_timeout: Duration,
    pub(crate) durability: Durability,
    pub(crate) memory_map: u64,
    pub(crate) indexes_in_memory: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a committed write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The process, the system and the power may die (`synchronous = FULL`). The default.
    #[default]
    Power,
    /// The process may die; the last writes before a power cut may be lost, never torn (`synchronous =
    /// NORMAL`).
    Process,
}

impl SqliteMemoryStoreBuilder {
    pub(crate) fn new(path: &Path) -> Self {
        let readers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            path: path.to_owned(),
            create: true,
            read_only: false,
            readers: readers.min(const { NonZeroUsize::new(4).unwrap() }),
            busy_timeout: Duration::from_secs(30),
            durability: Durability::default(),
            memory_map: 1 << 30,
            indexes_in_memory: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// Whether a missing file is made. Default: yes.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether the file is only read. It is then neither created nor upgraded. Default: no.
    ///
    /// A file in a folder that may not be written, such as a backup on a read-only medium, is read without
    /// locks. No other program may write it, by another path, while this store is open.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How many reads may run at once, each on a thread and a connection of its own.
    /// Default: one for each processor, at most four.
    #[must_use]
    pub fn readers(mut self, readers: NonZeroUsize) -> Self {
        self.readers = readers;
        self
    }

    /// How long an operation waits for another process's write to end, a
    /// [`vacuum`](vestige_traits::MemoryStore::vacuum) too; then it fails with a retryable error. Default: 30
    /// seconds. Clients of a server usually wait longer than that for an answer.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// What a committed write survives. Default: [`Durability::Power`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many bytes of the file each connection may map into memory; 0 for none. Default: 1 GiB.
    ///
    /// Mapped pages make searches faster and count as the process's memory, though the system takes
    /// them back when it needs them. A program that reads the whole file once, such as a copy, needs no map.
    #[must_use]
    pub fn memory_map(mut self, bytes: u64) -> Self {
        self.memory_map = bytes;
        self
    }

    /// Whether searches keep their indexes in memory. Default: yes.
    ///
    /// The indexes take a byte and two bits for each dimension of each vector, and up to half of that again
    /// for filters that are used often. They also hold the length and the id of each memory, and the postings
    /// of terms that were searched lately: up to 32 MiB beside those of the last search. Without them every
    /// search reads the file, with the same results. The rows that a filter admits are kept for a while in
    /// either case.
    #[must_use]
    pub fn indexes_in_memory(mut self, in_memory: bool) -> Self {
        self.indexes_in_memory = in_memory;
        self
    }

    /// Where the store takes the time from. Default: the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}
