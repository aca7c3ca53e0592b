//! A value that follows a JSON schema, always the same one for the same schema. In: a schema. Out:
//! the plainest value it allows, with what it requires and nothing else. It knows what models'
//! tools and structured outputs use; a pattern it does not invent a text for.

use serde_json::{Map, Value, json};

/// How deep a schema may refer to itself: what lies deeper is null.
const DEPTH_MAX: usize = 16;
/// How long a text or a list is made, whatever the schema asks for.
const LENGTH_MAX: usize = 1_000;

/// Texts of a format.
const FORMATS: &[(&str, &str)] = &[
    ("date", "2026-01-01"),
    ("date-time", "2026-01-01T00:00:00Z"),
    ("time", "00:00:00Z"),
    ("duration", "PT1S"),
    ("email", "mock@example.com"),
    ("hostname", "example.com"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("uri", "https://example.com/"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
];
/// Any other text. As a command it does nothing.
const TEXT: &str = "echo";

/// A value that follows `schema`.
pub(super) fn sample(schema: &Value) -> Value {
    made(schema, schema, 0)
}

fn made(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let made = |schema: &Value| made(schema, root, depth + 1);
    for key in ["const", "default"] {
        if let Some(given) = schema.get(key) {
            return given.clone();
        }
    }
    for key in ["enum", "examples"] {
        if let Some(first) = schema[key].get(0) {
            return first.clone();
        }
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|to| root.pointer(to.strip_prefix('#')?))
    {
        return made(target);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(first) = schema[key].get(0) {
            return made(first);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(made).filter_map(|part| match part {
            Value::Object(members) => Some(members),
            _ => None,
        });
        return Value::Object(parts.flatten().collect());
    }
    match kind(schema) {
        "object" => Value::Object(members(schema, &made)),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(1) as usize;
            let count = if schema["items"].is_object() { least } else { 0 };
            Value::Array(vec![made(&schema["items"]); count.min(LENGTH_MAX)])
        }
        "integer" => json!(schema["minimum"].as_i64().unwrap_or(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(text(schema)),
    }
}

/// The type, or the first of several; where none is named, what the other keywords speak of.
fn kind(schema: &Value) -> &str {
    let named = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    let told = [("properties", "object"), ("items", "array")];
    named
        .or_else(|| told.iter().find(|(key, _)| schema.get(key).is_some()).map(|(_, kind)| *kind))
        .unwrap_or("string")
}

/// The members that are required.
fn members(schema: &Value, made: &dyn Fn(&Value) -> Value) -> Map<String, Value> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let described = &schema["properties"];
    required.map(|name| (name.to_owned(), made(&described[name]))).collect()
}

fn text(schema: &Value) -> String {
    let format = FORMATS.iter().find(|(name, _)| schema["format"] == *name);
    let text = format.map_or(TEXT, |(_, text)| text);
    let least = (schema["minLength"].as_u64().unwrap_or(0) as usize).min(LENGTH_MAX);
    let most = schema["maxLength"].as_u64().map_or(usize::MAX, |most| most as usize);
    let filled = text.chars().chain(std::iter::repeat_n('x', least.saturating_sub(text.len())));
    filled.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_follows_its_schema() {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}},
            "required": ["next"]});
        let cases = [
            (json!({}), json!("echo")),
            (
                json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}},
                "required": ["a"]}),
                json!({"a": 1}),
            ),
            (
                json!({"type": "object", "properties": {"cmd": {"type": "array",
                "items": {"type": "string"}}}, "required": ["cmd"]}),
                json!({"cmd": ["echo"]}),
            ),
            (json!({"type": ["number", "null"], "minimum": 2.5}), json!(2.5)),
            (json!({"enum": ["b", "a"]}), json!("b")),
            (json!({"const": 7}), json!(7)),
            (json!({"type": "string", "format": "date"}), json!("2026-01-01")),
            (json!({"type": "string", "minLength": 6}), json!("echoxx")),
            (json!({"type": "string", "maxLength": 2}), json!("ec")),
            (
                json!({"type": "array", "items": {"type": "null"}, "minItems": 2}),
                json!([null, null]),
            ),
            (json!({"type": "array"}), json!([])),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(true)),
            (
                json!({"allOf": [{"properties": {"a": {}}, "required": ["a"]},
                {"properties": {"b": {}}, "required": ["b"]}]}),
                json!({"a": "echo", "b": "echo"}),
            ),
            (json!({"$ref": "#/$defs/day", "$defs": {"day": {"enum": [1]}}}), json!(1)),
            (node, json!({})),
        ];
        for (schema, wanted) in cases {
            assert_eq!(sample(&schema), wanted, "{schema}");
        }
        assert!(sample(&endless)["next"]["next"].is_object(), "and it comes to an end");
    }
}
