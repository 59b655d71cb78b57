//! The file that `vestige-embed` reads: for each token a scale (little-endian f32) and one i8 for each
//! dimension.

use crate::matrix::Matrix;

/// Rounds each row to 8 bits, its largest component to 127.
pub(crate) fn encode(vectors: &Matrix) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in vectors.rows() {
        let largest = row.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        #[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let scale = (largest / 127.0) as f32;
        bytes.extend(scale.to_le_bytes());
        bytes.extend(
            row.iter().map(|x| if scale > 0.0 { to_i8(x / f64::from(scale)) } else { 0 }.cast_unsigned()),
        );
    }
    bytes
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to the range of i8")]
fn to_i8(x: f64) -> i8 {
    x.round().clamp(-127.0, 127.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_scale_and_its_rounded_components() {
        let bytes = encode(&Matrix::from_rows(&[vec![0.5, -1.27, 0.004], vec![0.0; 3]]));
        let (scale, row) = bytes.split_first_chunk().unwrap();
        assert!((f32::from_le_bytes(*scale) - 0.01).abs() < 1e-9);
        assert_eq!(row[..3], [50, 127_u8.wrapping_neg(), 0]);
        assert_eq!(row[3..], [0; 7], "a row of zeros has scale 0");
    }
}
