//! The tools of one exchange under the names a Chat backend knows them by, and the way back. Chat
//! has one flat list of functions with short names; the hub has namespaces, freeform tools and a
//! search over tools. What a tool is called here is decided by the tool alone, so that the same
//! history always lowers to the same bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::{Object, Raw};

/// The longest name of a function, and of a call's id, that backends take.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// What a call of a tool becomes in the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// `function_call`.
    Function,
    /// `custom_tool_call`, its input inside the arguments' one member.
    CustomInFunction,
    /// `custom_tool_call`, as the backend itself has such a thing.
    Custom,
    /// `tool_search_call`.
    Search,
}

/// A tool by its name in the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub becomes: Becomes,
    pub namespace: Option<String>,
    pub name: String,
}

/// The way back from a backend's names.
#[derive(Debug, Clone, Default)]
pub struct Toolbox {
    known: BTreeMap<String, Known>,
    /// By namespace and name: what those tools are called towards the backend whose plain name was
    /// another's already.
    renamed: BTreeMap<String, BTreeMap<String, String>>,
}

impl Toolbox {
    /// Adds a tool and gives it a name towards the backend that no other has: whoever comes first
    /// has the plain one. The tool itself comes back when it is there already.
    pub(super) fn add(&mut self, known: Known) -> Result<String, Known> {
        let (namespace, name) = known.key();
        let plain = called(namespace, name);
        let wire = match self.known.get(&*plain) {
            None => plain.into_owned(),
            Some(same) if same.key() == known.key() => return Err(known),
            Some(_) => {
                let siblings = self.renamed.entry(namespace.to_owned()).or_default();
                if siblings.contains_key(name) {
                    return Err(known);
                }
                let wire = fitting(&format!("{namespace}\0{name}")).into_owned();
                siblings.insert(name.to_owned(), wire.clone());
                wire
            }
        };
        self.known.insert(wire.clone(), known);
        Ok(wire)
    }

    /// What a tool is called towards the backend, also one that is not there any more.
    pub(super) fn called<'n>(&'n self, namespace: Option<&str>, name: &'n str) -> Cow<'n, str> {
        let (namespace, name) = key(namespace, name);
        let renamed = self.renamed.get(namespace).and_then(|siblings| siblings.get(name));
        renamed.map_or_else(|| called(namespace, name), |wire| Cow::Borrowed(wire))
    }

    /// What the backend means by a name. Some models leave out the namespace, or write it with a
    /// dot; where only one tool can be meant, that one is.
    pub(super) fn find(&self, called: &str) -> Option<&Known> {
        if let Some(known) = self.known.get(called) {
            return Some(known);
        }
        let bare = called.rsplit('.').next().unwrap_or(called);
        let mut alike = self.known.values().filter(|known| known.name == bare);
        alike.next().filter(|_| alike.next().is_none())
    }
}

impl Known {
    fn key(&self) -> (&str, &str) {
        key(self.namespace.as_deref(), &self.name)
    }
}

/// What makes a tool another one. Calls into the namespace `functions` come without it (Codex
/// 0.169), so it is none.
fn key<'s, 'n>(namespace: Option<&'s str>, name: &'n str) -> (&'s str, &'n str) {
    let namespace = namespace.filter(|namespace| *namespace != "functions");
    (namespace.unwrap_or_default(), name)
}

/// A tool's plain name towards a backend: `namespace__name`, shortened where it is too long or
/// holds what backends refuse.
fn called<'n>(namespace: &str, name: &'n str) -> Cow<'n, str> {
    if namespace.is_empty() {
        return fitting(name);
    }
    // Codex 0.130 ends its namespaces in the separator.
    let joined = format!("{}__{name}", namespace.trim_end_matches("__"));
    Cow::Owned(fitting(&joined).into_owned())
}

/// A name or id with only letters, digits, `_` and `-`, and not too long. What has to change ends
/// in a hash of the whole, so that two names stay two.
pub(super) fn fitting(name: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().fold(true, |all, byte| all & plain(byte))
    {
        return Cow::Borrowed(name);
    }
    let hash = format!("{:016x}", hash(name));
    let allowed = |c: char| u8::try_from(c).is_ok_and(plain);
    let chars = name.chars().map(|c| if allowed(c) { c } else { '_' });
    let mut short: String = chars.take(NAME_CHARS_MAX - hash.len() - 1).collect();
    short.push('_');
    short.push_str(&hash);
    Cow::Owned(short)
}

/// Exactly nine letters and digits: as they are, or a hash of the id in base 36.
pub(super) fn nine(id: &str) -> Cow<'_, str> {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut rest = hash(id);
    let digit = || {
        let digit = DIGITS.get((rest % 36) as usize).copied().unwrap_or(b'0');
        rest /= 36;
        char::from(digit)
    };
    Cow::Owned(std::iter::repeat_with(digit).take(9).collect())
}

/// FNV-1a, 64 bits: no key is needed, only that it never changes.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Keywords whose members are schemas under names of their own: none of these is a keyword.
const SCHEMAS_BY_NAME: &[&str] =
    &["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Keywords that hold values of the user's, and no schema.
const VALUES: &[&str] = &["const", "default", "enum", "example", "examples"];

/// Appends a JSON schema without the keywords that a backend refuses.
pub(super) fn push_schema(out: &mut String, schema: Raw<'_>, refused: &[&str]) {
    if refused.iter().all(|keyword| !schema.as_str().contains(keyword)) {
        return out.push_str(schema.as_str());
    }
    if schema.is_array() {
        out.push('[');
        for (index, element) in schema.elements().into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_schema(out, element, refused);
        }
        return out.push(']');
    }
    if !schema.is_object() {
        return out.push_str(schema.as_str());
    }
    let mut object = Object::new(out);
    for (key, value) in schema.members() {
        object = match &*key {
            keyword if refused.contains(&keyword) => object,
            keyword if VALUES.contains(&keyword) => object.member(keyword, value),
            keyword if SCHEMAS_BY_NAME.contains(&keyword) && value.is_object() => object
                .member_with(keyword, |out| {
                    let schemas = value.members();
                    let named = schemas.iter().fold(Object::new(out), |object, (name, schema)| {
                        object.member_with(name, |out| push_schema(out, *schema, refused))
                    });
                    named.end();
                }),
            keyword => object.member_with(keyword, |out| push_schema(out, value, refused)),
        };
    }
    object.end();
}
