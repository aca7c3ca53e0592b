//! Holds JSON against a published schema. In: both. Out: where they part. A member that the schema does
//! not name is wrong too, and so is a keyword that is not known here: nothing is passed over.

use serde_json::Value;

/// Whether a value is what the schema says, or else where it is not.
pub fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    holds(schema, schema, value, "")
}

fn holds(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().into_iter().flatten() {
        let is_held = match keyword.as_str() {
            "$defs" | "$schema" | "default" | "description" | "format" | "title" => true,
            "$ref" => {
                let named = rule.as_str().and_then(|name| root.pointer(name.strip_prefix('#')?));
                let named = named.ok_or_else(|| format!("{at}: there is no {rule}"))?;
                holds(root, named, value, at).map(|()| true)?
            }
            "anyOf" | "oneOf" => list(rule).iter().any(|one| holds(root, one, value, at).is_ok()),
            "const" => value == rule,
            "items" => {
                let items = list(value).iter().enumerate();
                let mut items =
                    items.map(|(n, item)| holds(root, rule, item, &format!("{at}/{n}")));
                items.try_for_each(|held| held).map(|()| true)?
            }
            "maximum" => value.as_f64() <= rule.as_f64(),
            "minimum" => value.as_f64() >= rule.as_f64(),
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}/{name}");
                    let rule = rule.get(name).ok_or_else(|| format!("{at} is not named"))?;
                    holds(root, rule, member, &at)?;
                }
                true
            }
            "required" => {
                list(rule).iter().all(|name| value.get(name.as_str().unwrap_or("")).is_some())
            }
            "type" => is_of(rule, value) || list(rule).iter().any(|one| is_of(one, value)),
            _ => false,
        };
        if !is_held {
            return Err(format!("{at} is not of {keyword} {rule}: {value}"));
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        _ => false,
    }
}
