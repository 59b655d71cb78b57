//! The arguments of a call, checked against the tool's input schema. Errors use the schema's own words: a
//! model knows that schema, and nothing of the types behind it.

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vestige_memory::text::shortened;
use vestige_traits::limits;

use crate::answer::{ToolError, ToolResult};

/// The keywords of JSON Schema that are understood here. The schemas of the tools use no others.
#[cfg(test)]
pub(crate) const KEYWORDS: [&str; 12] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "properties",
    "required",
    "type",
];

/// How much of a wrong value is quoted, in characters. It may be many megabytes long.
const QUOTED: usize = 60;

/// The arguments of a call, checked against the tool's schema.
///
/// Models write `null` for an argument that they leave out, whatever the schema says, so an argument that is
/// `null` is dropped; inside of other objects `null` is a value. Clients write arguments as text, which is
/// taken for what it stands for, see [`adapt`].
pub(crate) fn arguments<T: DeserializeOwned>(
    schema: &JsonObject,
    arguments: Option<JsonObject>,
) -> ToolResult<T> {
    let mut arguments = Value::Object(arguments.unwrap_or_default());
    adapt(schema, &mut arguments);
    drop_nulls(&mut arguments);
    for items in arguments.as_object_mut().into_iter().flat_map(JsonObject::values_mut) {
        items.as_array_mut().into_iter().flatten().for_each(drop_nulls);
    }
    check(schema, &mut arguments)?;
    // The schema is made from the type, so this does not fail.
    serde_json::from_value(arguments)
        .map_err(|error| ToolError::new(format!("wrong arguments: {}", shortened(&error.to_string(), 300))))
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|_, value| !value.is_null());
    }
}

/// Makes of a value what the schema wants, where it can be read in one way only. A model cannot mend what its
/// client does to arguments:
///
/// - a list, an object, a number or a boolean that is written as text;
/// - one item where a list is wanted (a text with a comma may be several, so it stays as it is);
/// - a choice in other letters (`HYBRID`), and an empty text for a choice that may be left out.
fn adapt(schema: &JsonObject, value: &mut Value) {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let folded = value.as_str().map(|text| text.trim().to_lowercase());
        let choice =
            choices.iter().find(|choice| choice.as_str().is_some() && choice.as_str() == folded.as_deref());
        if let Some(choice) = choice {
            *value = choice.clone();
        }
        return;
    }
    let items = schema.get("items").and_then(Value::as_object);
    let item_kind = items.and_then(kind_wanted).unwrap_or_default();
    let read = match (kind_wanted(schema).unwrap_or_default(), &*value) {
        ("array", Value::String(text)) => match json(text) {
            Some(list @ Value::Array(_)) => Some(list),
            Some(item @ Value::Object(_)) if item_kind == "object" => Some(Value::Array(vec![item])),
            _ if item_kind == "string" && !text.contains(',') && !text.trim().is_empty() => {
                Some(Value::Array(vec![Value::from(text.trim())]))
            }
            _ => None,
        },
        ("array", item @ Value::Object(_)) if item_kind == "object" => Some(Value::Array(vec![item.clone()])),
        ("object", Value::String(text)) => json(text).filter(Value::is_object),
        ("integer" | "number", Value::String(text)) => json(text.trim()).filter(Value::is_number),
        ("boolean", Value::String(text)) => text.trim().to_ascii_lowercase().parse().ok().map(Value::Bool),
        _ => None,
    };
    if let Some(read) = read {
        *value = read;
    }
    match value {
        Value::Array(list) => {
            if let Some(schema) = items {
                list.iter_mut().for_each(|item| adapt(schema, item));
            }
        }
        Value::Object(object) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let required = schema.get("required").and_then(Value::as_array);
            object.retain(|name, value| {
                let Some(schema) = properties.and_then(|known| known.get(name)).and_then(Value::as_object)
                else {
                    return true;
                };
                let must = required.is_some_and(|names| names.iter().any(|known| known == name));
                let is_empty = value.as_str().is_some_and(|text| text.trim().is_empty());
                if is_empty && !must && schema.contains_key("enum") {
                    return false;
                }
                adapt(schema, value);
                true
            });
        }
        _ => {}
    }
}

/// The JSON in a text, if it is JSON, and not so much of it that no message would be read with it.
fn json(text: &str) -> Option<Value> {
    limits::check_json_values("text", text.as_bytes()).ok()?;
    serde_json::from_str(text).ok()
}

fn kind_wanted(schema: &JsonObject) -> Option<&str> {
    schema.get("type").and_then(Value::as_str)
}

/// Refuses a value that the schema does not allow. A whole number that is written as 5.0 becomes 5.
fn check(schema: &JsonObject, value: &mut Value) -> ToolResult<()> {
    check_at("", schema, value)
}

fn check_at(path: &str, schema: &JsonObject, value: &mut Value) -> ToolResult<()> {
    let refuse = |what: String| {
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        Err(ToolError::new(format!("{place}{what}; nothing was done")))
    };
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        if choices.contains(value) {
            return Ok(());
        }
        let choices: Vec<_> = choices.iter().filter_map(Value::as_str).collect();
        return refuse(format!("is {}, must be one of {}", quoted(value), choices.join(", ")));
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => whole(value),
        Some("number") if value.is_number() => {}
        Some(kind) if kind == kind_of(value) => {}
        Some(_) => return refuse(format!("is {}, must be {}", quoted(value), described(schema))),
        None => {}
    }
    if schema.get("type").is_some_and(|kind| kind == "integer") && !value.is_i64() && !value.is_u64() {
        return refuse(format!("is {}, must be {}", quoted(value), described(schema)));
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    if let (Some(number), Some(low), Some(high)) = (value.as_f64(), bound("minimum"), bound("maximum"))
        && !(low..=high).contains(&number)
    {
        return refuse(format!("is {value}, must be {low} to {high}"));
    }
    match value {
        Value::Array(items) => {
            if let (Some(low), Some(high)) = (bound("minItems"), bound("maxItems"))
                && !(low..=high).contains(&(items.len() as f64))
            {
                return refuse(format!("has {} items, must have {low} to {high}", items.len()));
            }
            if let Some(schema) = schema.get("items").and_then(Value::as_object) {
                for (at, item) in items.iter_mut().enumerate() {
                    check_at(&format!("{path}[{at}]"), schema, item)?;
                }
            }
        }
        Value::Object(object) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                return closed(path, schema, object, &JsonObject::new());
            };
            closed(path, schema, object, properties)?;
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if let Some(name) = name.as_str().filter(|name| !object.contains_key(*name)) {
                    return Err(ToolError::new(format!(
                        "{} is missing, {} must be given; nothing was done",
                        below(path, name),
                        properties.get(name).and_then(Value::as_object).map(described).unwrap_or_default()
                    )));
                }
            }
            for (name, value) in object {
                if let Some(schema) = properties.get(name).and_then(Value::as_object) {
                    check_at(&below(path, name), schema, value)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses names that the schema does not have: most are misspelt.
fn closed(path: &str, schema: &JsonObject, object: &JsonObject, known: &JsonObject) -> ToolResult<()> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Ok(());
    }
    let Some(unknown) = object.keys().find(|name| !known.contains_key(*name)) else { return Ok(()) };
    let unknown = below(path, &shortened(unknown, QUOTED));
    let names: Vec<_> = known.keys().map(String::as_str).collect();
    Err(ToolError::new(if names.is_empty() {
        format!("{unknown} is not known, since there is nothing to be given here; nothing was done")
    } else {
        format!("{unknown} is not known; there are: {}; nothing was done", names.join(", "))
    }))
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Makes 5.0 an integer, which it is to JSON Schema.
fn whole(value: &mut Value) {
    // Beyond 2^53 a double does not say which integer was meant.
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= 9e15);
    if let Some(number) = number.filter(|_| value.is_f64()) {
        *value = Value::from(number as i64);
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quoted(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string {:?}", shortened(text, QUOTED)),
        other => with_article(kind_of(other)),
    }
}

/// `an array of strings`.
fn described(schema: &JsonObject) -> String {
    let kind = |schema: &JsonObject| schema.get("type").and_then(Value::as_str).unwrap_or("value").to_owned();
    let text = with_article(&kind(schema));
    match schema.get("items").and_then(Value::as_object) {
        Some(items) => format!("{text} of {}s", kind(items)),
        None => text,
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog;

    fn said(tool: &str, mut arguments: Value) -> String {
        let schema = &catalog::tool(tool).expect("it is there").input_schema;
        adapt(schema, &mut arguments);
        check(schema, &mut arguments).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_must_stand_there() {
        for (tool, arguments, expected) in [
            ("remember", json!({}), "memories is missing, an array of objects must be given"),
            (
                "remember",
                json!({"memories": "[{\"content\": \"x\"}"}),
                "memories: is the string \"[{\\\"content\\\": \\\"x\\\"}\", must be an array of objects",
            ),
            (
                "remember",
                json!({"memories": "[{\"text\": 1}]"}),
                "memories[0].text is not known; there are: ",
            ),
            ("remember", json!({"memories": ["x"]}), "memories[0]: is the string \"x\", must be an object"),
            ("remember", json!({"memories": []}), "memories: has 0 items, must have 1 to 1000"),
            (
                "remember",
                json!({"memories": [{"content": "x"}, {"content": "y", "tags": "a, b"}]}),
                "memories[1].tags: is the string \"a, b\", must be an array of strings",
            ),
            ("remember", json!({"memories": [{"text": "x"}]}), "memories[0].text is not known; there are: "),
            (
                "remember",
                json!({"memories": [{"tags": []}]}),
                "memories[0].content is missing, a string must be given",
            ),
            ("recall", json!({"query": 5}), "query: is 5, must be a string"),
            ("recall", json!({"query": "x", "limit": 101}), "limit: is 101, must be 1 to 100"),
            ("recall", json!({"query": "x", "limit": 0.5}), "limit: is 0.5, must be an integer"),
            ("recall", json!({"query": "x", "limit": 1e300}), "limit: is 1e+300, must be an integer"),
            (
                "recall",
                json!({"query": "x", "limit": "five"}),
                "limit: is the string \"five\", must be an integer",
            ),
            ("recall", json!({"query": "x", "limit": "101"}), "limit: is 101, must be 1 to 100"),
            ("recall", json!({"query": "x", "limit": ""}), "limit: is the string \"\", must be an integer"),
            ("review", json!({"id": "x", "rating": ""}), "rating: is the string \"\", must be one of again,"),
            (
                "recall",
                json!({"query": "x", "min_retrievability": 7}),
                "min_retrievability: is 7, must be 0 to 1",
            ),
            (
                "recall",
                json!({"query": "x", "mode": "telepathy"}),
                "mode: is the string \"telepathy\", must be one of hybrid, keyword, vector",
            ),
            (
                "review",
                json!({"id": "x", "rating": 3}),
                "rating: is 3, must be one of again, hard, good, easy",
            ),
            ("neighbors", json!({"id": "x", "limit": 257}), "limit: is 257, must be 1 to 256"),
            ("stats", json!({"all": true}), "all is not known, since there is nothing to be given here"),
        ] {
            let said = said(tool, arguments);
            assert!(said.starts_with(expected) && said.ends_with("; nothing was done"), "{said}");
        }
    }

    #[test]
    fn what_a_client_turned_into_text_is_read() {
        for (tool, written, meant) in [
            (
                "remember",
                json!({"memories": "[{\"content\": \"x\", \"tags\": \"[\\\"db\\\"]\"}]", "force": "True"}),
                json!({"memories": [{"content": "x", "tags": ["db"]}], "force": true}),
            ),
            ("remember", json!({"memories": {"content": "x"}}), json!({"memories": [{"content": "x"}]})),
            (
                "remember",
                json!({"memories": "{\"content\": \"x\"}"}),
                json!({"memories": [{"content": "x"}]}),
            ),
            (
                "remember",
                json!({"memories": [{"content": "[1, 2]", "tags": "db", "metadata": "{\"a\": \"1\"}"}]}),
                json!({"memories": [{"content": "[1, 2]", "tags": ["db"], "metadata": {"a": "1"}}]}),
            ),
            (
                "recall",
                json!({"query": "5", "limit": "5", "mode": "HYBRID", "tags": "[draft]", "min_retrievability": " 0.5"}),
                json!({"query": "5", "limit": 5, "mode": "hybrid", "tags": ["[draft]"], "min_retrievability": 0.5}),
            ),
            ("recall", json!({"query": "x", "mode": ""}), json!({"query": "x"})),
            ("review", json!({"id": "7", "rating": "Good"}), json!({"id": "7", "rating": "good"})),
        ] {
            let mut arguments = written;
            adapt(&catalog::tool(tool).expect("it is there").input_schema, &mut arguments);
            assert_eq!(arguments, meant);
            assert_eq!(said(tool, arguments), "");
        }
    }

    #[test]
    fn what_the_schema_allows_passes() {
        for (tool, arguments) in [
            ("remember", json!({"memories": [{"content": "x", "metadata": {"any": [1, {"thing": null}]}}]})),
            ("recall", json!({"query": "x", "limit": 5.0, "min_retrievability": 1})),
            ("link", json!({"source_id": "x", "target_id": "y", "weight": 0})),
            ("stats", json!({})),
        ] {
            assert_eq!(said(tool, arguments.clone()), "", "{tool} {arguments}");
        }
        let mut arguments = json!({"query": "x", "limit": 5.0});
        check(&catalog::tool("recall").expect("it is there").input_schema, &mut arguments).unwrap();
        assert_eq!(arguments["limit"].as_u64(), Some(5));
    }
}
