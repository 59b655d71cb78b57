//! Methods of the protocol whose parameters are required.

/// The shape that the parameters of `method` must have; none for a method that takes no parameters, or that
/// is not known.
pub(crate) fn shape_of_params(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" => Some("{\"name\": the tool, \"arguments\": an object}"),
        "resources/read" => Some("{\"uri\": the address}"),
        _ => None,
    }
}
