//! The token vectors, read in place.

/// The components of a vector.
pub(super) const DIMENSION: usize = 256;
/// A row: its scale as a little-endian f32, then one i8 for each dimension.
pub(super) const ROW_BYTES: usize = size_of::<f32>() + DIMENSION;

/// One row for each token, by token id.
pub(super) struct Table<'a>(&'a [[u8; ROW_BYTES]]);

impl<'a> Table<'a> {
    /// Bytes behind the last whole row are ignored; a test holds the bundled file to none.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    /// Adds a token's vector. A token without a row adds nothing.
    pub(super) fn add(&self, id: u32, sum: &mut [f32; DIMENSION]) {
        let Some((scale, row)) = self.row(id) else { return };
        // A product and a sum, each rounded: fused, they would differ between machines.
        for (sum, component) in sum.iter_mut().zip(row) {
            *sum += scale * f32::from(component.cast_signed());
        }
    }

    /// The length (L2) of a token's vector, which is its weight in a sum. 0 for a token without a row.
    pub(super) fn weight(&self, id: u32) -> f64 {
        let Some((scale, row)) = self.row(id) else { return 0.0 };
        let squares: i32 = row.iter().map(|component| i32::from(component.cast_signed()).pow(2)).sum();
        f64::from(scale) * f64::from(squares).sqrt()
    }

    fn row(&self, id: u32) -> Option<(f32, &[u8])> {
        let (scale, row) = self.0.get(usize::try_from(id).ok()?)?.split_first_chunk()?;
        Some((f32::from_le_bytes(*scale), row))
    }
}

/// Scales a vector to unit length (L2). False, and unchanged, if it has no direction.
pub(super) fn to_unit_length(vector: &mut [f32; DIMENSION]) -> bool {
    // Eight running sums in a fixed order: as fast as the machine allows, and the same on all of them.
    let mut squares = [0.0_f32; 8];
    for eight in vector.as_chunks::<8>().0 {
        for (square, x) in squares.iter_mut().zip(eight) {
            *square += x * x;
        }
    }
    let length = squares.iter().sum::<f32>().sqrt();
    if length < f32::MIN_POSITIVE {
        return false;
    }
    for x in vector.iter_mut() {
        *x /= length;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scale: f32, first: i8) -> Vec<u8> {
        let mut row = scale.to_le_bytes().to_vec();
        row.push(first.cast_unsigned());
        row.resize(ROW_BYTES, 0);
        row
    }

    #[test]
    fn a_row_is_scaled_and_added() {
        let bytes = [row(1.0, 5), row(0.5, -6)].concat();
        let mut sum = [1.0; DIMENSION];
        Table::new(&bytes).add(1, &mut sum);
        assert_eq!(sum[..2], [-2.0, 1.0]);
    }

    #[test]
    fn a_token_without_a_row_adds_nothing() {
        let mut sum = [0.0; DIMENSION];
        Table::new(&row(1.0, 5)).add(1, &mut sum);
        Table::new(&row(1.0, 5)).add(u32::MAX, &mut sum);
        assert_eq!(sum, [0.0; DIMENSION]);
    }

    #[test]
    fn a_vector_of_zeros_has_no_direction() {
        let mut zeros = [0.0; DIMENSION];
        assert!(!to_unit_length(&mut zeros));
        assert_eq!(zeros, [0.0; DIMENSION]);
    }
}
