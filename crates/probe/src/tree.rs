//! JSON as a tree, for what is shown in another form than it came in.

use latimer_wire::json::Raw;

/// The value as a tree.
pub(crate) fn tree(raw: Raw<'_>) -> serde_json::Value {
    // Halves of surrogate pairs and huge numbers have no place in a tree; their text has.
    serde_json::from_str(raw.as_str()).unwrap_or_else(|_| raw.as_str().into())
}
