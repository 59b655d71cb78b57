//! A vector after the rotation, as sketches and questions are compared.

/// What a unit vector adds to the center, turned.
#[derive(Clone, Copy)]
pub(super) struct Turned<'a> {
    /// Its direction, up to a factor.
    pub(super) components: &'a [f32],
    pub(super) length: f32,
    /// The part of a cosine with it that comes from the center.
    pub(super) offset: f32,
}

/// The sum over pairs of numbers; their number is a multiple of 16. Several sums side by side do not wait for
/// each other.
pub(super) fn sum(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += of(a[lane], b[lane]);
        }
    }
    sums.iter().sum()
}
