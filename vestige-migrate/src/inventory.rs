use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vestige_traits::ModelSignature;
use vestige_traits::transfer::TransferKind;

/// Something for each kind of row, in JSON an object with the kinds as keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKind<T>([T; TransferKind::ALL.len()]);

impl<T> PerKind<T> {
    /// Each kind with what belongs to it, in the order of import.
    pub fn iter(&self) -> impl Iterator<Item = (TransferKind, &T)> {
        TransferKind::ALL.into_iter().zip(&self.0)
    }
}

impl PerKind<u64> {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl<T> Index<TransferKind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: TransferKind) -> &T {
        &self.0[kind as usize]
    }
}

impl<T> IndexMut<TransferKind> for PerKind<T> {
    fn index_mut(&mut self, kind: TransferKind) -> &mut T {
        &mut self.0[kind as usize]
    }
}

impl<T: Serialize> Serialize for PerKind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (kind, item) in self.iter() {
            map.serialize_entry(&kind, item)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for PerKind<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = std::collections::BTreeMap::<TransferKind, T>::deserialize(deserializer)?;
        if let Some(missing) = TransferKind::ALL.into_iter().find(|kind| !entries.contains_key(kind)) {
            return Err(D::Error::custom(format!("no entry for {missing}")));
        }
        let mut items = Self(Default::default());
        for (kind, item) in entries {
            items[kind] = item;
        }
        Ok(items)
    }
}

/// What is kept of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineDigest {
    hash: blake3::Hash,
    /// The line's length in bytes, without its line feed.
    pub(crate) bytes: usize,
}

impl LineDigest {
    pub(crate) fn of(line: &[u8]) -> Self {
        Self { hash: blake3::hash(line), bytes: line.len() }
    }
}

/// A digest of a set of lines that does not depend on their order.
///
/// The sum modulo 2²⁵⁶ of the lines' BLAKE3 hashes, each read as a
/// little-endian number. A sum and not an exclusive or: under that a line
/// that occurs twice would vanish. The digest finds every accident. It
/// does not protect against a person who makes up rows so that the sums agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowDigest([u64; 4]);

impl RowDigest {
    /// Adds a line, given without its line feed.
    pub fn add(&mut self, line: &[u8]) {
        self.add_digest(&LineDigest::of(line));
    }

    fn add_digest(&mut self, line: &LineDigest) {
        let (words, _) = line.hash.as_bytes().as_chunks::<8>();
        let mut carry = false;
        for (limb, word) in self.0.iter_mut().zip(words) {
            let (sum, over) = limb.overflowing_add(u64::from_le_bytes(*word));
            let (sum, over_again) = sum.overflowing_add(carry.into());
            (*limb, carry) = (sum, over | over_again);
        }
    }
}

impl fmt::Display for RowDigest {
    /// 64 lowercase hexadecimal digits: the 32 bytes of the little-endian number, first byte first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|limb| write!(f, "{:016x}", limb.swap_bytes()))
    }
}

impl FromStr for RowDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a digest of 64 lowercase hexadecimal digits");
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(hex) {
            return Err(wrong());
        }
        let mut limbs = [0; 4];
        for (at, limb) in limbs.iter_mut().enumerate() {
            *limb = u64::from_str_radix(&text[16 * at..16 * (at + 1)], 16).map_err(|_| wrong())?.swap_bytes();
        }
        Ok(Self(limbs))
    }
}

impl Serialize for RowDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What a store or an archive holds, as far as it takes to tell whether two hold the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The registered model.
    pub model: Option<ModelSignature>,
    /// How many rows of each kind.
    pub counts: PerKind<u64>,
    /// The digest of the canonical lines of each kind.
    pub digests: PerKind<RowDigest>,
}

impl Inventory {
    pub(crate) fn add(&mut self, kind: TransferKind, line: &LineDigest) {
        self.counts[kind] += 1;
        self.digests[kind].add_digest(line);
    }

    /// Whether both hold the same rows; the models aside, which a store without vectors may lack.
    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        self.counts == other.counts && self.digests == other.digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(lines: &[&[u8]]) -> RowDigest {
        let mut digest = RowDigest::default();
        lines.iter().for_each(|line| digest.add(line));
        digest
    }

    #[test]
    fn the_digest_of_one_line_is_its_hash() {
        assert_eq!(digest(&[b"a"]).to_string(), blake3::hash(b"a").to_hex().as_str());
        assert_eq!(digest(&[]).to_string(), "0".repeat(64));
    }

    #[test]
    fn a_line_that_occurs_twice_does_not_vanish() {
        assert_ne!(digest(&[b"a", b"a"]), digest(&[]));
        assert_ne!(digest(&[b"a", b"a", b"b"]), digest(&[b"b"]));
    }

    #[test]
    fn per_kind_wants_every_kind() {
        let json = serde_json::to_string(&PerKind::<u64>::default()).unwrap();
        assert!(json.starts_with(r#"{"user":0,"group":0,"group_membership":0,"#), "{json}");
        assert_eq!(serde_json::from_str::<PerKind<u64>>(&json).unwrap(), PerKind::default());
        assert!(serde_json::from_str::<PerKind<u64>>(r#"{"user":0}"#).is_err());
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut lines: Vec<Vec<u8>>, turn: prop::sample::Index) {
            let before = digest(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if !lines.is_empty() {
                let by = turn.index(lines.len());
                lines.rotate_left(by);
            }
            prop_assert_eq!(digest(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>()), before);
        }

        #[test]
        fn the_sum_carries_and_its_text_comes_back(a: [u64; 4]) {
            let mut sum = RowDigest(a);
            sum.add(b"x");
            let text = sum.to_string();
            prop_assert_eq!(text.parse::<RowDigest>(), Ok(sum));
            // The same sum in 128-bit halves, which the standard library can carry by itself.
            let halves = |limbs: [u64; 4]| {
                let half = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
                (half(limbs[0], limbs[1]), half(limbs[2], limbs[3]))
            };
            let hash = RowDigest({ let mut one = RowDigest::default(); one.add(b"x"); one.0 });
            let ((a_low, a_high), (b_low, b_high)) = (halves(a), halves(hash.0));
            let (low, carry) = a_low.overflowing_add(b_low);
            prop_assert_eq!(halves(sum.0), (low, a_high.wrapping_add(b_high).wrapping_add(carry.into())));
        }
    }
}
