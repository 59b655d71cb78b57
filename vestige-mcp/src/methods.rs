//! Methods of the protocol whose parameters are required.

use rmcp::model::InitializeRequestParams;
use serde_json::Value;
use vestige_memory::text::shortened;

/// The shape that the parameters of `method` must have; none for a method that takes no parameters, or that
/// is not known.
pub(crate) fn shape_of_params(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" => Some("{\"name\": the tool, \"arguments\": an object}"),
        "initialize" => Some(HANDSHAKE),
        "resources/read" => Some("{\"uri\": the address}"),
        _ => None,
    }
}

const HANDSHAKE: &str = "{\"protocolVersion\": such as \"2025-11-25\", \"capabilities\": {}, \
    \"clientInfo\": {\"name\": …, \"version\": …}}";

/// What is wrong with the parameters of an `initialize` that cannot be read.
pub(crate) fn wrong_handshake(params: Option<&Value>) -> String {
    let is_text: fn(&Value) -> bool = Value::is_string;
    let is_object: fn(&Value) -> bool = Value::is_object;
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for (path, pointer, kind, fits) in [
        ("protocolVersion", "/protocolVersion", "a string", is_text),
        ("capabilities", "/capabilities", "an object", is_object),
        ("clientInfo", "/clientInfo", "an object", is_object),
        ("clientInfo.name", "/clientInfo/name", "a string", is_text),
        ("clientInfo.version", "/clientInfo/version", "a string", is_text),
    ] {
        match params.and_then(|params| params.pointer(pointer)) {
            None | Some(Value::Null) => missing.push(format!("{path} ({kind})")),
            Some(value) if !fits(value) => wrong.push(format!("{path} must be {kind}")),
            Some(_) => {}
        }
    }
    let what = match (missing.as_slice(), wrong.as_slice()) {
        ([], []) => {
            let read = params.map(|params| serde_json::from_value::<InitializeRequestParams>(params.clone()));
            match read {
                Some(Err(error)) => shortened(&error.to_string(), 200),
                _ => "the params cannot be read".to_owned(),
            }
        }
        ([], _) => wrong.join(", "),
        ([one], []) => format!("{one} is missing"),
        (_, []) => format!("{} are missing", missing.join(", ")),
        (_, _) => format!("{}; missing: {}", wrong.join(", "), missing.join(", ")),
    };
    format!("initialize: {what}; params must be {HANDSHAKE}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_handshake_is_told_each_of_its_fields_that_is_missing_or_wrong() {
        let info = json!({"name": "t", "version": "1"});
        for (params, expected) in [
            (Value::Null, "protocolVersion (a string), capabilities (an object), clientInfo (an object), "),
            (
                json!({"protocolVersion": "2025-06-18", "clientInfo": info}),
                "capabilities (an object) is missing;",
            ),
            (
                json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}),
                "clientInfo.version (a string) is missing;",
            ),
            (
                json!({"protocolVersion": 1, "capabilities": {}, "clientInfo": info}),
                "protocolVersion must be a string;",
            ),
            (
                json!({"protocolVersion": 1, "capabilities": {}}),
                "protocolVersion must be a string; missing: clientInfo (an object), clientInfo.name",
            ),
        ] {
            let said = wrong_handshake(Some(&params));
            assert!(said.starts_with(&format!("initialize: {expected}")), "{said}");
        }
    }
}
