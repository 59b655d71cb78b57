//! The quantised form of a vector: its direction in signed bytes, and the factor that turns a sum
//! of byte products into a cosine.
//!
//! A component of the unit vector is `byte × scale`, rounded to the nearest; the largest
//! becomes ±127. Stored as the little-endian f32 `scale` followed by the bytes.

/// The scale and the bytes of a vector's direction.
pub(super) fn quantize(vector: &[f32]) -> (f32, Vec<i8>) {
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let largest = vector.iter().fold(0.0_f64, |largest, &x| largest.max(f64::from(x.abs())));
    let step = largest / 127.0;
    ((step / norm) as f32, vector.iter().map(|&x| (f64::from(x) / step).round() as i8).collect())
}

/// The stored form of a vector's code.
pub(crate) fn encode(vector: &[f32]) -> Vec<u8> {
    let (scale, bytes) = quantize(vector);
    let mut stored = Vec::with_capacity(4 + bytes.len());
    stored.extend(scale.to_le_bytes());
    stored.extend(bytes.into_iter().map(i8::cast_unsigned));
    stored
}

/// Splits a stored code; none if it is too short.
pub(crate) fn split(stored: &[u8]) -> Option<(f32, &[u8])> {
    let (scale, bytes) = stored.split_first_chunk::<4>()?;
    Some((f32::from_le_bytes(*scale), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestige_traits::backend::cosine_similarity;

    #[test]
    fn a_code_keeps_the_direction() {
        let vector: Vec<f32> = (0..256).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.3).collect();
        let (scale, bytes) = encode(&vector)
            .split_first_chunk::<4>()
            .map(|(s, b)| (f32::from_le_bytes(*s), b.to_vec()))
            .unwrap();
        let decoded: Vec<f32> = bytes.iter().map(|&b| f32::from(b.cast_signed()) * scale).collect();
        assert!(cosine_similarity(&vector, &decoded) > 0.9999);
        let norm: f32 = decoded.iter().map(|x| x * x).sum();
        assert!((norm - 1.0).abs() < 0.01);
    }

    #[test]
    fn the_length_of_a_vector_does_not_change_its_code() {
        assert_eq!(encode(&[3.0, -4.0])[4..], encode(&[3e5, -4e5])[4..]);
    }

    #[test]
    fn a_stored_code_that_is_too_short_is_none() {
        assert_eq!(split(&[1, 2, 3]), None);
    }
}
