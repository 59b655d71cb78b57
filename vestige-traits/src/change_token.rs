/// A state of a store: see [`MemoryStore::change_token`](crate::MemoryStore::change_token).
///
/// Tokens can only be compared for equality, and only with those of the same store. They are for the moment,
/// and not to be kept: after a store was copied or restored they mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangeToken(u128);

impl ChangeToken {
    /// The token of a backend whose state is `state`, in whatever way the backend numbers its states.
    pub const fn new(state: u128) -> Self {
        Self(state)
    }

    /// What the backend gave to [`new`](Self::new).
    pub const fn state(self) -> u128 {
        self.0
    }
}
