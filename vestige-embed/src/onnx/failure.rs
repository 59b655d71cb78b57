//! What is said of models that cannot be used.

/// Why a dynamically quantised model is refused.
pub(super) const DYNAMIC: &str = "it is quantised anew for every batch, so that a text's vector would depend on the texts \
                       beside it; take the model it was made from";

/// An error with its sources, in one line.
pub(super) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
