//! The list of models, in the shapes of those who ask for it: OpenAI's `data`, and the `models` array
//! with which Codex learns what a model can do.

use bytes::Bytes;
use serde_json::{Value, json};

/// What Codex must know of a model so that it does not fall back to guesses: the members without
/// which 0.130, 0.150 or 0.169 refuses the file (0.98 does not read it), and the freeform editing
/// tool, which it has only for models that are said to take it.
pub fn codex_model(slug: &str) -> Value {
    json!({
        "slug": slug,
        "display_name": slug,
        "supported_reasoning_levels": [],
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": true,
        "priority": 1,
        "support_verbosity": false,
        "supports_reasoning_summaries": true,
        "supports_parallel_tool_calls": true,
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": 10000},
        "experimental_supported_tools": [],
        "base_instructions": "You are a coding agent that works in the user's terminal. \
            Run commands with the tools you are given, and say briefly what you did."
    })
}

/// A backend's list with what is missing for either reader; anything else stays as it is.
pub(crate) fn in_both_shapes(body: Bytes) -> Bytes {
    let Ok(Value::Object(mut list)) = serde_json::from_slice(&body) else { return body };
    let named =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let data = list.get("data").and_then(Value::as_array);
    let models = list.get("models").and_then(Value::as_array);
    match (data, models) {
        (Some(data), None) => {
            let slugs = data.iter().filter_map(|model| named(model, "id"));
            let models: Vec<_> = slugs.map(|slug| codex_model(&slug)).collect();
            list.insert("models".to_owned(), models.into());
        }
        (None, Some(models)) => {
            let ids = models.iter().filter_map(|model| named(model, "slug"));
            let data: Vec<_> = ids
                .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "backend"}))
                .collect();
            list.insert("object".to_owned(), "list".into());
            list.insert("data".to_owned(), data.into());
        }
        _ => return body,
    }
    Bytes::from(Value::Object(list).to_string())
}
