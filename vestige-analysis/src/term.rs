//! What an index holds and a phrase compares.

/// The longest word that is indexed, in bytes. A longer one is passed over, as PostgreSQL does.
pub const MAX_WORD_BYTES: usize = 2046;

/// A searchable term and its position in its text, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is looked up, such as a stem.
    pub text: String,
    /// Its position. Words without a term count, so that phrases keep their distances.
    /// Several terms may share one.
    pub position: u32,
}

/// Words in a row, which a memory must or must not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrase {
    /// Its terms, one for each position.
    pub terms: Vec<Term>,
    /// A term that says the same by itself, such as the whole of a compound.
    pub whole: Option<String>,
}
