//! The postings in memory follow the rows, whoever writes them: they give the answers of FTS5 itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::path::Path;

use tempfile::TempDir;
use vestige_sqlite::{Durability, SqliteMemoryStore};
use vestige_traits::{MemoryRecord, MemoryStore, SearchQuery, SearchResult};

/// Some are common and some rare; those of the last line FTS5 folds or splits in its own way.
const WORDS: [&str; 16] = [
    "deploy",
    "friday",
    "deploy",
    "rust",
    "rust",
    "rust",
    "pool",
    "quorum",
    "7",
    "naïve",
    "данные",
    "記憶",
    "λόγος",
    "𞤀deploy",
    "ꭰ",
    "ﬁnal",
];

const QUESTIONS: [&str; 9] = [
    "deploy",
    "rust deploy friday",
    "quorum 7",
    "naive pool rust",
    "данные rust",
    "記憶 deploy",
    "λόγος deploy",
    "\"rust rust\" -friday",
    "final ꭰ nowhere",
];

fn open(path: &Path, in_memory: bool) -> SqliteMemoryStore {
    let builder = SqliteMemoryStore::builder(path).durability(Durability::Process);
    builder.indexes_in_memory(in_memory).open().unwrap()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Words without those that `plain` says to leave out.
    fn words(&mut self, plain: bool) -> String {
        let known = if plain { 12 } else { WORDS.len() };
        let words: Vec<_> = (0..1 + self.below(12)).map(|_| WORDS[self.below(known)]).collect();
        words.join(" ")
    }

    fn record(&mut self, plain: bool) -> MemoryRecord {
        // Of one passage mostly, and of several now and then.
        let parts = if self.below(16) == 0 { 60 } else { 1 };
        let parts: Vec<_> = (0..parts).map(|_| self.words(plain)).collect();
        let mut record = MemoryRecord::new(parts.join(" "));
        record.node_type = ["note", "rust"][self.below(2)].to_owned();
        record.tags = (0..self.below(3)).map(|_| self.words(plain)).collect();
        record
    }
}

async fn answers(store: &SqliteMemoryStore, another: &str) -> Vec<Vec<SearchResult>> {
    let mut answers = Vec::new();
    for question in QUESTIONS.into_iter().chain([another]) {
        answers.push(store.search(&SearchQuery::text(question).limit(7)).await.unwrap());
    }
    answers
}

#[tokio::test]
async fn postings_in_memory_give_the_answers_of_the_statement() {
    let home = TempDir::new().unwrap();
    for (round, plain) in [true, false].into_iter().enumerate() {
        let path = home.path().join(format!("{plain}.db"));
        let (writer, reader, statement) = (open(&path, true), open(&path, true), open(&path, false));
        let mut dice = Dice(round as u64);
        let mut known: Vec<MemoryRecord> = Vec::new();
        for step in 0..60 {
            let new = format!("word{}", step / 3);
            let new = new.as_str();
            match dice.below(6) {
                0 if !known.is_empty() => {
                    let gone = known.swap_remove(dice.below(known.len()));
                    writer.delete(gone.id).await.unwrap();
                }
                1 if !known.is_empty() => {
                    let changed = dice.below(known.len());
                    let fields = dice.record(plain);
                    known[changed] = fields.id(known[changed].id);
                    writer.update(&known[changed]).await.unwrap();
                }
                2 if step % 4 == 2 => {
                    // More than is caught up with one by one.
                    let many: Vec<_> = (0..600).map(|_| dice.record(plain)).collect();
                    writer.insert_batch(&many).await.unwrap();
                    known.extend(many);
                }
                _ => {
                    known.push(dice.record(plain));
                    // A word that was in no memory when its question was last asked.
                    known.last_mut().unwrap().content += &format!(" {new}");
                    writer.insert(known.last().unwrap()).await.unwrap();
                }
            }
            let expected = answers(&statement, new).await;
            assert_eq!(answers(&reader, new).await, expected, "another handle, step {step}");
            assert_eq!(answers(&writer, new).await, expected, "the same handle, step {step}");
        }
    }
}
