/// How the vectors of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one, of the token `[CLS]`.
    Cls,
}

/// What a model wants done to a text: pooling, and what goes before documents and queries.
///
/// Model cards say it; a wrong one costs recall without any error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    pub(super) name: String,
    pub(super) pooling: Pooling,
    pub(super) document_prefix: String,
    pub(super) query_prefix: String,
}

impl Preparation {
    /// A model of this name, without prefixes. The name becomes the signature's.
    pub fn new(name: impl Into<String>, pooling: Pooling) -> Self {
        Self { name: name.into(), pooling, document_prefix: String::new(), query_prefix: String::new() }
    }

    /// With these prefixes, each with its own trailing blank.
    #[must_use]
    pub fn prefixes(mut self, document: impl Into<String>, query: impl Into<String>) -> Self {
        self.document_prefix = document.into();
        self.query_prefix = query.into();
        self
    }
}
