use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use vestige_traits::MemoryRecord;
use vestige_traits::transfer::{TransferKey, TransferKind, TransferRow};

use super::searches::SearchAgreement;
use crate::error::MigrateResult;
use crate::inventory::{Inventory, PerKind};
use crate::limits::DEFAULT_PAGE_ROWS;
use crate::progress::{Phase, Reporter};
use crate::rows::{Row, Rows};
use crate::walk::SideBySide;

/// How many differences of each sort are named; all are counted.
const MAX_EXAMPLES: u64 = 100;

/// Every row of two sides, compared.
///
/// Both are read in the order of keys, once, side by side; the digests are
/// computed from what was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Proof {
    /// What the source holds.
    pub source: Inventory,
    /// What the target holds.
    pub target: Inventory,
    /// How many rows of each kind differ.
    pub differences: PerKind<Differences>,
    /// The first hundred rows that are missing, the first hundred that are different, and the first hundred
    /// that the target alone has.
    pub examples: Vec<Difference>,
    /// Rows that the source could not read.
    pub damaged_in_source: u64,
    /// Rows that the target could not read.
    pub damaged_in_target: u64,
    /// How far the same searches gave the same answers on both sides; empty if that was not asked.
    pub searches: Vec<SearchAgreement>,
}

impl Proof {
    /// Whether both hold the same model and the same rows: counts and digests agree for every kind.
    pub fn is_equal(&self) -> bool {
        self.nothing_lost() && self.source == self.target
    }

    /// Whether the target holds every row of the source unchanged; it may hold others besides.
    pub fn nothing_lost(&self) -> bool {
        let sum = self.sum();
        let model = self.source.model.is_none() || self.source.model == self.target.model;
        sum.missing + sum.different + self.damaged_in_source + self.damaged_in_target == 0 && model
    }

    /// The differences of all kinds together.
    pub fn sum(&self) -> Differences {
        self.differences.iter().fold(Differences::default(), |sum, (_, each)| Differences {
            missing: sum.missing + each.missing,
            different: sum.different + each.different,
            extra: sum.extra + each.extra,
        })
    }
}

/// How many rows differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Differences {
    /// Rows that are in the source alone.
    pub missing: u64,
    /// Rows with the same key and other content.
    pub different: u64,
    /// Rows that are in the target alone.
    pub extra: u64,
}

/// A row that differs.
///
/// It is serialised as its kind, its key and how it differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "WrittenDifference", from = "WrittenDifference")]
#[non_exhaustive]
pub struct Difference {
    /// The row's key.
    pub key: TransferKey,
    /// How it differs.
    pub difference: DifferenceKind,
}

impl Difference {
    /// The row's kind.
    pub fn kind(&self) -> TransferKind {
        self.key.kind()
    }
}

/// A [`Difference`] as it is serialised: the key is a list that does not name its kind.
#[derive(Serialize, Deserialize)]
struct WrittenDifference {
    kind: TransferKind,
    key: Vec<String>,
    difference: DifferenceKind,
}

impl From<Difference> for WrittenDifference {
    fn from(Difference { key, difference }: Difference) -> Self {
        Self { kind: key.kind(), key: key.to_parts(), difference }
    }
}

impl From<WrittenDifference> for Difference {
    fn from(WrittenDifference { kind, key, difference }: WrittenDifference) -> Self {
        Self { key: TransferKey::from_parts(kind, key), difference }
    }
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// It is in the source alone.
    Missing,
    /// It has other content in the target.
    Different,
    /// It is in the target alone.
    Extra,
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing in the target",
            Self::Different => "different in the target",
            Self::Extra => "in the target alone",
        })
    }
}

/// Reads both sides side by side.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) page_rows: usize,
    /// How many memories that both sides hold alike to keep as a sample.
    pub(crate) sample: usize,
}

impl Default for Comparison {
    fn default() -> Self {
        Self { page_rows: DEFAULT_PAGE_ROWS, sample: 0 }
    }
}

impl Comparison {
    /// The proof, without searches, and the sample, which is the same for the same memories.
    pub(crate) async fn run(
        &self,
        source: &mut impl Rows,
        target: &mut impl Rows,
        reporter: &mut Reporter<'_>,
    ) -> MigrateResult<(Proof, Vec<MemoryRecord>)> {
        let inventory = |model| Inventory { model, ..Inventory::default() };
        let mut proof = Proof {
            source: inventory(source.model().await?),
            target: inventory(target.model().await?),
            differences: PerKind::default(),
            examples: Vec::new(),
            damaged_in_source: 0,
            damaged_in_target: 0,
            searches: Vec::new(),
        };
        let total = source.counts().await?.total();
        let mut sample = Sample { most: self.sample, chosen: BTreeMap::new() };
        let mut walk = SideBySide::new(self.page_rows);
        while let Some((kind, order)) = walk.next(source, target).await? {
            proof.take(kind, order, walk.left.as_ref(), walk.right.as_ref());
            proof.take_damaged(&mut walk);
            if walk.is_same()
                && let Some(Row { row: TransferRow::Memory(record), .. }) = &walk.left
            {
                sample.offer(record);
            }
            let done = proof.source.counts.total();
            if done.is_multiple_of(1024) {
                reporter.report(Phase::Verifying, done, total);
            }
        }
        proof.take_damaged(&mut walk);
        reporter.report(Phase::Verifying, proof.source.counts.total(), total);
        Ok((proof, sample.chosen.into_values().collect()))
    }
}

impl Proof {
    fn take_damaged(&mut self, walk: &mut SideBySide) {
        self.damaged_in_source += walk.left_damaged.drain(..).count() as u64;
        self.damaged_in_target += walk.right_damaged.drain(..).count() as u64;
    }

    fn take(&mut self, kind: TransferKind, order: Ordering, left: Option<&Row>, right: Option<&Row>) {
        if order != Ordering::Greater
            && let Some(row) = left
        {
            self.source.add(kind, &row.line);
        }
        if order != Ordering::Less
            && let Some(row) = right
        {
            self.target.add(kind, &row.line);
        }
        let before = self.sum();
        let differences = &mut self.differences[kind];
        let (row, difference, named) = match order {
            Ordering::Less => {
                differences.missing += 1;
                (left, DifferenceKind::Missing, before.missing)
            }
            Ordering::Greater => {
                differences.extra += 1;
                (right, DifferenceKind::Extra, before.extra)
            }
            Ordering::Equal if left.map(|row| &row.line) != right.map(|row| &row.line) => {
                differences.different += 1;
                (left, DifferenceKind::Different, before.different)
            }
            Ordering::Equal => return,
        };
        if let Some(row) = row.filter(|_| named < MAX_EXAMPLES) {
            self.examples.push(Difference { key: row.key.clone(), difference });
        }
    }
}

/// The memories whose ids have the lowest hashes: as good as drawn at random, and the same every time.
struct Sample {
    most: usize,
    chosen: BTreeMap<[u8; 32], MemoryRecord>,
}

impl Sample {
    fn offer(&mut self, record: &MemoryRecord) {
        if self.most == 0 {
            return;
        }
        let rank = *blake3::hash(record.id.as_bytes()).as_bytes();
        let full = self.chosen.len() >= self.most;
        if !full || self.chosen.last_key_value().is_some_and(|(last, _)| rank < *last) {
            self.chosen.insert(rank, record.clone());
            if full {
                self.chosen.pop_last();
            }
        }
    }
}
