//! Whether two JSON texts mean the same: the order of members, the space around tokens and the
//! spelling of strings do not count; numbers are the same when they are written the same.

use crate::json::Raw;

/// Whether two values mean the same.
pub(super) fn same(one: Raw<'_>, other: Raw<'_>) -> bool {
    if one.as_str() == other.as_str() {
        return true;
    }
    if one.is_object() && other.is_object() {
        let (ours, theirs) = (one.members(), other.members());
        let found = |key: &str| theirs.iter().rev().find(|(known, _)| known == key);
        return ours.len() == theirs.len()
            && ours
                .iter()
                .all(|(key, value)| found(key).is_some_and(|(_, theirs)| same(*value, *theirs)));
    }
    if one.is_array() && other.is_array() {
        let (ours, theirs) = (one.elements(), other.elements());
        return ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(ours, theirs)| same(*ours, *theirs));
    }
    one.is_string() && other.is_string() && one.text() == other.text()
}
