//! Whether two JSON values say the same, and where they differ first.

use crate::json::Raw;

/// Members that may differ from event to event: OpenAI encrypts the same content anew each time.
const VOLATILE: &[&str] = &["encrypted_content"];

/// The path of the first difference. The order of members does not count, and null means absent.
pub(super) fn difference(one: Raw<'_>, other: Raw<'_>, path: &str) -> Option<String> {
    if one.as_str() == other.as_str() {
        return None;
    }
    if one.is_object() && other.is_object() {
        let mut keys: Vec<_> = one.members().into_iter().map(|(key, _)| key).collect();
        keys.extend(other.members().into_iter().map(|(key, _)| key));
        let mut keys = keys.iter().filter(|key| !VOLATILE.contains(&&***key));
        return keys.find_map(|key| {
            let [one, other] = [one, other].map(|value| value.member(key).unwrap_or(Raw::NULL));
            difference(one, other, &format!("{path}.{key}"))
        });
    }
    if one.is_array() && other.is_array() {
        let (one, other) = (one.elements(), other.elements());
        if one.len() != other.len() {
            return Some(path.to_owned());
        }
        let mut pairs = one.into_iter().zip(other).enumerate();
        return pairs
            .find_map(|(at, (one, other))| difference(one, other, &format!("{path}[{at}]")));
    }
    let same = one.is_string() && one.text() == other.text();
    (!same).then(|| path.to_owned())
}
