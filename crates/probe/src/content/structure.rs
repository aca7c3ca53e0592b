//! Which keys JSON bodies have: `model`, `input[].role`, ... In: one body after another. Out: a
//! table of key paths, their types, and in how many bodies each occurred; merged, tables are bounded.
//! An array is described by its first element.

use std::collections::HashMap;

use latimer_wire::json::{Fields, Node, Raw};

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
    pub(crate) fn add(&mut self, body: &Fields<'_>) {
        self.members(&mut String::new(), body, 0);
    }

    /// Adds what was seen later; what then is too much is left out.
    pub(crate) fn merge(&mut self, later: KeyPaths) {
        for row in later.rows {
            let Some(known) = self.row(&row.path, PATHS_MAX) else { continue };
            known.occurrences += row.occurrences;
            for name in row.types {
                known.add_type(name);
            }
        }
    }

    /// The rows in the order of their first appearance.
    pub(crate) fn rows(&self) -> &[KeyPath] {
        &self.rows
    }

    /// Counts the members of an object at `path`, which is left as it was.
    fn members(&mut self, path: &mut String, members: &Fields<'_>, depth: usize) {
        for (key, member) in members.iter() {
            let path_bytes = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
            if let Some(row) = self.row(path, usize::MAX) {
                row.occurrences += 1;
                row.add_type(type_name(*member));
            }
            self.descend(path, member, depth + 1);
            path.truncate(path_bytes);
        }
    }

    fn descend(&mut self, path: &mut String, value: Node<'_>, depth: usize) {
        if depth >= DEPTH_MAX {
            return;
        }
        if value.is_object() {
            self.members(path, &Fields::of(value), depth);
        } else if let Some(first) = value.first_element() {
            let path_bytes = path.len();
            path.push_str("[]");
            self.descend(path, first, depth);
            path.truncate(path_bytes);
        }
    }

    /// The row of a path; none for a new one where there are `most` already.
    fn row(&mut self, path: &str, most: usize) -> Option<&mut KeyPath> {
        let at = match self.by_path.get(path) {
            Some(at) => *at,
            None if self.rows.len() >= most => return None,
            None => {
                let at = self.rows.len();
                self.by_path.insert(path.to_owned(), at);
                self.rows.push(KeyPath {
                    path: path.to_owned(),
                    types: Vec::new(),
                    occurrences: 0,
                });
                at
            }
        };
        self.rows.get_mut(at)
    }
}

impl KeyPath {
    fn add_type(&mut self, name: &'static str) {
        if !self.types.contains(&name) {
            self.types.push(name);
        }
    }
}

fn type_name(value: Raw<'_>) -> &'static str {
    match value.kind() {
        "boolean" => "bool",
        kind => kind,
    }
}
