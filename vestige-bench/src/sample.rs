//! Memories and questions for timing, the same for all who are measured: texts of a real set or generated
//! ones, with generated vectors in clusters.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, ensure};
use uuid::Uuid;
use vestige_traits::{MemoryFilter, MemoryRecord, ModelSignature};

use crate::corpus::{ClusteredVectors, DrawnTexts, ZipfTexts};
use crate::data::{Question, SetMemory, read_lines};

/// The memories and questions that all are given.
#[derive(Debug)]
pub struct Sample {
    /// How many numbers a vector has.
    pub dimension: usize,
    /// Where the texts are from, for people.
    pub origin: String,
    /// The contents of the memories, by their number.
    pub texts: Vec<String>,
    /// The vectors of the memories, each of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// Texts and vectors to search for.
    pub questions: Vec<(String, Vec<f32>)>,
}

impl Sample {
    /// The same arguments give the same sample. `set` is a folder with `memories.jsonl` and `queries.jsonl`,
    /// whose texts are taken first; where they do not suffice, the others are drawn from their words.
    ///
    /// # Errors
    ///
    /// If the set cannot be read, or nothing is asked for.
    pub fn make(memories: usize, dimension: usize, questions: usize, set: Option<&Path>) -> Result<Self> {
        let (mut texts, mut asked, origin) = match set {
            Some(folder) => {
                let memories: Vec<SetMemory> = read_lines(&folder.join("memories.jsonl"))?;
                let questions: Vec<Question> = read_lines(&folder.join("queries.jsonl"))?;
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                (
                    memories.into_iter().map(|memory| memory.content).collect(),
                    questions.into_iter().map(|question| question.query).collect(),
                    format!("texts of {name}"),
                )
            }
            None => (Vec::new(), Vec::new(), String::new()),
        };
        let origin = match texts.len() {
            0 => "generated texts".to_owned(),
            enough if enough >= memories => origin,
            some => format!("{some} {origin}, the others drawn from their words"),
        };
        let mut drawn =
            DrawnTexts::new(texts.iter().filter(|_| texts.len() < memories).map(String::as_str), 1);
        let mut source = ZipfTexts::new(1);
        while texts.len() < memories {
            texts.push(drawn.next_text().unwrap_or_else(|| source.next_text(12)));
        }
        while asked.len() < questions {
            asked.push(drawn.next_text().unwrap_or_else(|| source.next_text(6)));
        }
        texts.truncate(memories);
        asked.truncate(questions);
        ensure!(!texts.is_empty() && !asked.is_empty(), "there is nothing to compare");
        let mut source = ClusteredVectors::new(dimension, 1);
        let vectors = texts.iter().map(|_| source.next_vector()).collect();
        let questions = asked.into_iter().map(|text| (text, source.next_vector())).collect();
        Ok(Self { dimension, origin, texts, vectors, questions })
    }

    /// The model that the vectors are said to be from.
    pub fn signature(&self) -> ModelSignature {
        ModelSignature { name: "clustered".to_owned(), dimension: self.dimension, hash: "0".repeat(64) }
    }

    /// The memory of a number.
    pub fn record(&self, n: usize) -> MemoryRecord {
        let mut record = MemoryRecord::new(&self.texts[n]);
        record.id = id(n);
        record.embedding = Some(self.vectors[n].clone());
        record.codebase = Some(codebase(n).to_owned());
        record
    }

    /// The memory of a number, in a session of twenty.
    pub fn record_of_session(&self, n: usize) -> MemoryRecord {
        let mut record = self.record(n);
        record.session = Some(format!("session {}", n / 20));
        record
    }

    /// The ten nearest of each question among the memories that a code base holds, by an exact scan.
    pub fn truth(&self, wanted: Option<&str>) -> Vec<HashSet<usize>> {
        self.truth_of(self.questions.len(), wanted)
    }

    /// As [`truth`](Self::truth), of the first questions alone.
    pub fn truth_of(&self, questions: usize, wanted: Option<&str>) -> Vec<HashSet<usize>> {
        (0..self.questions.len().min(questions))
            .map(|question| self.nearest(question, 10, wanted).into_iter().collect())
            .collect()
    }

    /// The nearest of a question among the memories that a code base holds, by an exact scan, nearest first.
    pub fn nearest(&self, question: usize, count: usize, wanted: Option<&str>) -> Vec<usize> {
        let vector = &self.questions[question].1;
        let mut scored: Vec<(f32, usize)> = (0..self.vectors.len())
            .filter(|&n| wanted.is_none_or(|wanted| wanted == codebase(n)))
            .map(|n| (dot(vector, &self.vectors[n]), n))
            .collect();
        if count < scored.len() {
            scored.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0));
            scored.truncate(count);
        }
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().map(|(_, n)| n).collect()
    }
}

/// Shares of all memories, and the code bases that hold them.
pub const FILTERS: [(&str, &str); 3] = [("10 %", "tenth"), ("1 %", "hundredth"), ("0.1 %", "thousandth")];

/// The code base of a memory.
pub fn codebase(n: usize) -> &'static str {
    match n {
        _ if n % 10 == 5 => "tenth",
        _ if n % 100 == 1 => "hundredth",
        _ if n % 1000 == 2 => "thousandth",
        _ => "rest",
    }
}

/// The filter of what a code base holds; of none, everything passes.
pub fn only(codebase: Option<&str>) -> MemoryFilter {
    MemoryFilter::new().codebases(codebase.map(str::to_owned))
}

/// The id of a memory.
pub fn id(n: usize) -> Uuid {
    let mut bytes = [0; 16];
    bytes[9..].copy_from_slice(&n.to_be_bytes()[1..]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The number of a memory, from its id.
pub fn number(id: Uuid) -> usize {
    (id.as_u128() & ((1 << 56) - 1)) as usize
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}
