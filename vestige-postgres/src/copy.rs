//! COPY in PostgreSQL's binary format: the fast way in for many rows.
//!
//! The format is described in the documentation of COPY, "Binary Format". A value is encoded as the receive
//! function of its type reads it.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use vestige_traits::{MemoryRecord, MemoryStoreResult};

use crate::analysis;
use crate::error;
use crate::session::Session;
use crate::tsvector::{MemoryTerms, TsVector};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
const COPY: &str =
    "COPY knowledge_nodes (id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase,
       owner_user_id, visibility, shared_with_groups, created_at, updated_at, search_vec, session, passages)
     FROM STDIN (FORMAT binary)";
const COPY_PASSAGES: &str =
    "COPY keyword_passages (memory_id, number, search_vec) FROM STDIN (FORMAT binary)";
/// How many bytes are collected before they are sent.
const CHUNK: usize = 256 * 1024;
const TEXT_OID: u32 = 25;
const UUID_OID: u32 = 2950;
/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Takes the lock that every writer of vectors and terms holds, and checks that the terms of the store are of
/// this version of the analysis. The lock is taken before that, and before the registry is read, so that
/// neither another analysis nor another model comes between the check and the write.
pub(crate) async fn lock_for_derived(transaction: &mut Session, analysis: i64) -> MemoryStoreResult<()> {
    sqlx::query!("LOCK TABLE knowledge_nodes IN ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .map_err(error::map)?;
    analysis::check(transaction, analysis).await.map_err(error::map)
}

/// Adds memories as they are, with their terms.
///
/// If a COPY is dropped half way, sqlx miscounts the server's answers, and the connection is useless. So the
/// COPY runs in a task of its own, which owns the transaction. If the caller's future is dropped, the task
/// completes and rolls back.
pub(crate) async fn memories<'r>(
    transaction: Session,
    rows: impl IntoIterator<Item = (&'r MemoryRecord, &'r MemoryTerms)>,
) -> sqlx::Result<Session> {
    let (chunks, passages) = encode(rows);
    let copying = tokio::spawn(async move {
        let mut transaction = transaction;
        transaction.copy_in(COPY, &chunks).await?;
        if let Some(passages) = passages {
            transaction.copy_in(COPY_PASSAGES, &passages).await?;
        }
        Ok(transaction)
    });
    match copying.await {
        Ok(copied) => copied,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        },
    }
}

/// The rows of memories, and of their further passages if any has some.
fn encode<'r>(
    rows: impl IntoIterator<Item = (&'r MemoryRecord, &'r MemoryTerms)>,
) -> (Vec<Vec<u8>>, Option<Vec<Vec<u8>>>) {
    let (mut memories, mut passages) = (Chunks::default(), None::<Chunks>);
    for (record, terms) in rows {
        memories.next().memory(record, terms);
        for (passage, number) in terms.further.iter().zip(1..) {
            passages.get_or_insert_default().next().passage(record.id, number, passage);
        }
    }
    (memories.finish(), passages.map(Chunks::finish))
}

/// The rows of a COPY, in parts that are sent one by one.
struct Chunks {
    full: Vec<Vec<u8>>,
    last: Buffer,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { full: Vec::new(), last: Buffer(SIGNATURE.to_vec()) }
    }
}

impl Chunks {
    /// Where the next row is written.
    fn next(&mut self) -> &mut Buffer {
        if self.last.0.len() >= CHUNK {
            self.full.push(std::mem::replace(&mut self.last.0, Vec::with_capacity(CHUNK + CHUNK / 4)));
        }
        &mut self.last
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        self.last.0.extend_from_slice(&TRAILER);
        self.full.push(self.last.0);
        self.full
    }
}

/// Encoded rows.
struct Buffer(Vec<u8>);

impl Buffer {
    fn passage(&mut self, memory: Uuid, number: i32, terms: &TsVector) {
        self.0.extend_from_slice(&3_i16.to_be_bytes());
        self.uuid(memory);
        self.integer(number);
        self.value(|bytes| bytes.extend_from_slice(terms.as_bytes()));
    }

    fn memory(&mut self, record: &MemoryRecord, terms: &MemoryTerms) {
        self.0.extend_from_slice(&17_i16.to_be_bytes());
        self.uuid(record.id);
        self.text(&record.content);
        self.text(&record.node_type);
        self.texts(&record.tags);
        self.json(&record.metadata);
        self.texts(&record.domains);
        self.json(&record.domain_scores);
        match &record.embedding {
            Some(embedding) => self.vector(embedding),
            None => self.null(),
        }
        self.optional_text(record.codebase.as_deref());
        self.uuid(record.owner_user_id);
        self.text(record.visibility.as_str());
        self.uuids(&record.shared_with_groups);
        self.time(record.created_at);
        self.time(record.updated_at);
        self.value(|bytes| bytes.extend_from_slice(terms.first.as_bytes()));
        self.optional_text(record.session.as_deref());
        self.integer(terms.passages());
    }

    fn null(&mut self) {
        self.0.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// A value after its length, which is known once it is written.
    fn value(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(&mut self.0);
        let length = self.0.len() - at - 4;
        self.0[at..at + 4].copy_from_slice(&be_i32(length));
    }

    fn uuid(&mut self, id: Uuid) {
        self.value(|bytes| bytes.extend_from_slice(id.as_bytes()));
    }

    fn text(&mut self, text: &str) {
        self.value(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    fn integer(&mut self, number: i32) {
        self.value(|bytes| bytes.extend_from_slice(&number.to_be_bytes()));
    }

    fn time(&mut self, time: DateTime<Utc>) {
        let micros = time.timestamp_micros() - EPOCH_MICROS;
        self.value(|bytes| bytes.extend_from_slice(&micros.to_be_bytes()));
    }

    /// jsonb: the version of its format, then text.
    fn json(&mut self, value: &impl ToJson) {
        self.value(|bytes| {
            bytes.push(1);
            value.write(bytes);
        });
    }

    /// pgvector's vector: how many components, two bytes of nothing, the components.
    fn vector(&mut self, vector: &[f32]) {
        self.value(|bytes| {
            bytes.extend_from_slice(&u16::try_from(vector.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
            for component in vector {
                bytes.extend_from_slice(&component.to_be_bytes());
            }
        });
    }

    fn texts(&mut self, texts: &[String]) {
        self.array(TEXT_OID, texts, |bytes, text| bytes.extend_from_slice(text.as_bytes()));
    }

    fn uuids(&mut self, ids: &[Uuid]) {
        self.array(UUID_OID, ids, |bytes, id| bytes.extend_from_slice(id.as_bytes()));
    }

    /// An array of one dimension without nulls; of none where it is empty.
    fn array<T>(&mut self, element: u32, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        self.value(|bytes| {
            let dimensions = i32::from(!items.is_empty());
            bytes.extend_from_slice(&dimensions.to_be_bytes());
            bytes.extend_from_slice(&0_i32.to_be_bytes());
            bytes.extend_from_slice(&element.to_be_bytes());
            if items.is_empty() {
                return;
            }
            bytes.extend_from_slice(&be_i32(items.len()));
            bytes.extend_from_slice(&1_i32.to_be_bytes());
            for item in items {
                let at = bytes.len();
                bytes.extend_from_slice(&[0; 4]);
                write(bytes, item);
                let length = bytes.len() - at - 4;
                bytes[at..at + 4].copy_from_slice(&be_i32(length));
            }
        });
    }
}

/// A length as the format writes it. Records are checked to be far smaller than 2 GiB.
fn be_i32(length: usize) -> [u8; 4] {
    i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes()
}

/// The values of jsonb columns.
trait ToJson {
    fn write(&self, bytes: &mut Vec<u8>);
}

impl ToJson for serde_json::Value {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.to_string().as_bytes());
    }
}

impl ToJson for std::collections::BTreeMap<String, f64> {
    fn write(&self, bytes: &mut Vec<u8>) {
        let object: serde_json::Map<_, _> =
            self.iter().map(|(key, number)| (key.clone(), serde_json::Value::from(*number))).collect();
        serde_json::Value::Object(object).write(bytes);
    }
}
