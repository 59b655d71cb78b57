/// A finding in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) kind: &'static str,
    pub(super) start: usize,
    pub(super) end: usize,
}
