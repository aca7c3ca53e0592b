//! Which keys JSON bodies have: `model`, `input[].role`, ... In: one body after another. Out: a
//! bounded table of key paths, their types, and in how many bodies each occurred. An array is
//! described by its first element.

use std::collections::HashMap;

use serde_json::Value;

/// A table holds the paths that appeared first.
const PATHS_MAX: usize = 30;
/// How many keys deep a path goes; deeper ones are the schemas of tools and would fill the table.
const DEPTH_MAX: usize = 3;

/// The key paths of all bodies that were added.
#[derive(Debug, Default)]
pub(crate) struct KeyPaths {
    rows: Vec<KeyPath>,
    by_path: HashMap<String, usize>,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct KeyPath {
    pub(crate) path: String,
    /// Every type that was seen there.
    pub(crate) types: Vec<&'static str>,
    /// In how many bodies.
    pub(crate) occurrences: u64,
}

impl KeyPaths {
    /// Adds one body.
    pub(crate) fn add(&mut self, body: &Value) {
        self.descend("", body, 0);
    }

    /// The rows in the order of their first appearance.
    pub(crate) fn rows(&self) -> &[KeyPath] {
        &self.rows
    }

    fn descend(&mut self, path: &str, value: &Value, depth: usize) {
        match value {
            Value::Object(members) if depth < DEPTH_MAX => {
                for (key, member) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.count(&path, type_name(member));
                    self.descend(&path, member, depth + 1);
                }
            }
            Value::Array(elements) => {
                if let Some(first) = elements.first() {
                    self.descend(&format!("{path}[]"), first, depth);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, path: &str, type_name: &'static str) {
        let row = match self.by_path.get(path) {
            Some(at) => self.rows.get_mut(*at),
            None if self.rows.len() < PATHS_MAX => {
                self.by_path.insert(path.to_owned(), self.rows.len());
                self.rows.push(KeyPath {
                    path: path.to_owned(),
                    types: Vec::new(),
                    occurrences: 0,
                });
                self.rows.last_mut()
            }
            None => None,
        };
        if let Some(row) = row {
            row.occurrences += 1;
            if !row.types.contains(&type_name) {
                row.types.push(type_name);
            }
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
