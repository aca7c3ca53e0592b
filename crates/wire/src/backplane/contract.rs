//! How the objects of the contract are read and written: each is declared once as a table of its
//! members, and what the table does not name is kept. In: JSON text. Out: plain Rust values, or an
//! error that names the place; and the same JSON again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::ApiError;
use crate::json::{Object, Raw, push_string};
use crate::path::Path;
use crate::responses::{missing, wrong_type};

/// A JSON value of any kind, as the text it came as: numbers keep their digits.
///
/// ```
/// use latimer_wire::backplane::Json;
/// let json = Json::parse(r#"{"n": 12345678901234567890123}"#)?;
/// assert_eq!(json.raw().member("n").map(|n| n.as_str()), Some("12345678901234567890123"));
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

/// Members by their names.
pub type Members = BTreeMap<String, Json>;

impl Default for Json {
    /// The value `null`.
    fn default() -> Self {
        Json("null".to_owned())
    }
}

impl From<Raw<'_>> for Json {
    fn from(raw: Raw<'_>) -> Self {
        Json(raw.as_str().to_owned())
    }
}

impl Json {
    /// Checks that `text` is one JSON value and takes it.
    ///
    /// # Errors
    /// [`Malformed`](crate::json::Malformed) with the byte at which it is not.
    pub fn parse(text: &str) -> Result<Self, crate::json::Malformed> {
        Raw::parse(text).map(Json::from)
    }

    /// A string.
    pub fn string(text: &str) -> Self {
        let mut json = String::new();
        push_string(&mut json, text);
        Json(json)
    }

    /// `true` or `false`.
    pub fn boolean(value: bool) -> Self {
        Json(value.to_string())
    }

    /// An object that `write` fills.
    pub(crate) fn object(write: impl FnOnce(Object<'_>) -> Object<'_>) -> Self {
        let mut json = String::new();
        write(Object::new(&mut json)).end();
        Json(json)
    }

    /// A view of it.
    pub fn raw(&self) -> Raw<'_> {
        Raw::trusted(&self.0)
    }
}

/// What stands as the value of a member.
pub(super) trait Field: Sized {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError>;
    fn print(&self, out: &mut String);
}

impl Field for Json {
    fn read(value: Raw<'_>, _: Path<'_>) -> Result<Self, ApiError> {
        Ok(value.into())
    }

    fn print(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

impl Field for String {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        let text = value.text().ok_or_else(|| wrong_type(path, "a string", value))?;
        Ok(text.into_owned())
    }

    fn print(&self, out: &mut String) {
        push_string(out, self);
    }
}

impl Field for bool {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        value.boolean().ok_or_else(|| wrong_type(path, "a boolean", value))
    }

    fn print(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

macro_rules! numbers {
    ($($kind:ty, $wanted:literal;)*) => {
        $(impl Field for $kind {
            fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
                let is_number = value.kind() == "number";
                let number = value.as_str().parse().ok().filter(|_| is_number);
                number.ok_or_else(|| wrong_type(path, $wanted, value))
            }

            fn print(&self, out: &mut String) {
                out.push_str(&format!("{self:?}"));
            }
        })*
    };
}

numbers! {
    u64, "a whole number";
    u32, "a whole number";
    i32, "a whole number";
    f64, "a number";
}

impl<T: Field> Field for Option<T> {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        value.non_null().map(|value| T::read(value, path)).transpose()
    }

    fn print(&self, out: &mut String) {
        match self {
            Some(value) => value.print(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        if !value.is_array() {
            return Err(wrong_type(path, "an array", value));
        }
        let elements = value.elements().into_iter().enumerate();
        elements.map(|(index, element)| T::read(element, path.index(index))).collect()
    }

    fn print(&self, out: &mut String) {
        out.push('[');
        for (index, element) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            element.print(out);
        }
        out.push(']');
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        if !value.is_object() {
            return Err(wrong_type(path, "an object", value));
        }
        let members = value.members().into_iter();
        let read = |(key, value): (Cow<'_, str>, Raw<'_>)| {
            let value = T::read(value, path.member(&key))?;
            Ok((key.into_owned(), value))
        };
        members.map(read).collect()
    }

    fn print(&self, out: &mut String) {
        let object = Object::new(out);
        let members = self.iter();
        members
            .fold(object, |object, (key, value)| object.member_with(key, |out| value.print(out)))
            .end();
    }
}

/// A word that is none of a set; `known` are those of the set.
pub(super) fn unknown_word(path: Path<'_>, word: &str, known: &[&str]) -> ApiError {
    let known = known.join("`, `");
    let message = format!("Invalid value for `{path}`: `{word}` is none of `{known}`.");
    ApiError::invalid(path.to_string(), "invalid_value", message)
}

/// The members of an object that is being read: each is taken once, and what is left is kept.
pub(super) struct Taking<'a, 'p> {
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
    path: Option<Path<'p>>,
}

impl<'a, 'p> Taking<'a, 'p> {
    pub fn new(value: Raw<'a>, path: Option<Path<'p>>) -> Result<Self, ApiError> {
        match value.is_object() {
            true => Ok(Taking { members: value.members(), path }),
            false => {
                let place = path.map_or_else(String::new, |path| path.to_string());
                Err(wrong_type(place, "an object", value))
            }
        }
    }

    /// The value of a member; its default where it is not there.
    pub fn take<T: Field + Default>(&mut self, name: &str) -> Result<T, ApiError> {
        Ok(self.given(name)?.unwrap_or_default())
    }

    /// The value of a member that has to be there.
    pub fn required<T: Field>(&mut self, name: &str) -> Result<T, ApiError> {
        let place = self.path.as_ref().map_or(Path::of(name), |path| path.member(name)).to_string();
        self.given(name)?.ok_or_else(|| missing(place))
    }

    fn given<T: Field>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(at) = self.members.iter().rposition(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.members.remove(at);
        let path = self.path.as_ref().map_or(Path::of(name), |path| path.member(name));
        T::read(value, path).map(Some)
    }

    pub fn rest(self) -> Members {
        self.members.into_iter().map(|(key, value)| (key.into_owned(), value.into())).collect()
    }
}

/// Writes a member.
pub(super) fn put<'o>(object: Object<'o>, name: &'static str, value: &impl Field) -> Object<'o> {
    object.with(name, |out| value.print(out))
}

/// Writes the members of a map into an object that is open.
pub(super) fn put_all<'o>(object: Object<'o>, members: &Members) -> Object<'o> {
    members.iter().fold(object, |object, (key, value)| object.member(key, value.raw()))
}

/// Declares objects: members with the type of their value; `required` ones have to be there, all
/// others have a default.
macro_rules! objects {
    ($($(#[$about:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident $(($required:ident))? : $kind:ty,)*
    })*) => {
        $($(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $kind,)*
            /// Members that the contract does not name, as they came.
            pub rest: $crate::backplane::Members,
        }

        impl $name {
            /// Reads it from JSON text.
            ///
            /// # Errors
            /// A 400 that names the member at fault.
            pub fn parse(json: &str) -> Result<Self, $crate::error::ApiError> {
                $name::of($crate::json::Raw::parse(json)?, None)
            }

            /// Its JSON text.
            pub fn to_json(&self) -> String {
                let mut out = String::new();
                $crate::backplane::contract::Field::print(self, &mut out);
                out
            }

            pub(in $crate::backplane) fn of(
                value: $crate::json::Raw<'_>,
                path: Option<$crate::path::Path<'_>>,
            ) -> Result<Self, $crate::error::ApiError> {
                let mut taking = $crate::backplane::contract::Taking::new(value, path)?;
                Ok($name {
                    $($field: objects!(@take taking $field $($required)?),)*
                    rest: taking.rest(),
                })
            }
        }

        impl $crate::backplane::contract::Field for $name {
            fn read(
                value: $crate::json::Raw<'_>,
                path: $crate::path::Path<'_>,
            ) -> Result<Self, $crate::error::ApiError> {
                $name::of(value, Some(path))
            }

            fn print(&self, out: &mut String) {
                let object = $crate::json::Object::new(out);
                $(let object = $crate::backplane::contract::put(
                    object, stringify!($field), &self.$field,
                );)*
                $crate::backplane::contract::put_all(object, &self.rest).end();
            }
        })*
    };
    (@take $taking:ident $field:ident) => { $taking.take(stringify!($field))? };
    (@take $taking:ident $field:ident required) => { $taking.required(stringify!($field))? };
}

/// Declares sets of words; the first is the default.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident {
        $(#[$first_doc:meta])* $first:ident = $first_word:literal,
        $($(#[$doc:meta])* $variant:ident = $word:literal,)*
    })*) => {
        $($(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$first_doc])* #[default] $first,
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the contract's order.
            pub const ALL: &'static [$name] = &[$name::$first, $($name::$variant),*];

            /// The word on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $name::$first => $first_word,
                    $($name::$variant => $word,)*
                }
            }
        }

        impl $crate::backplane::contract::Field for $name {
            fn read(
                value: $crate::json::Raw<'_>,
                path: $crate::path::Path<'_>,
            ) -> Result<Self, $crate::error::ApiError> {
                const KNOWN: &[&str] = &[$first_word, $($word),*];
                let word = <String as $crate::backplane::contract::Field>::read(value, path)?;
                let known = $name::ALL.iter().copied().find(|known| known.name() == word);
                known.ok_or_else(|| $crate::backplane::contract::unknown_word(path, &word, KNOWN))
            }

            fn print(&self, out: &mut String) {
                $crate::json::push_string(out, $name::name(*self));
            }
        })*
    };
}

/// Declares an object that is told apart by a tag: its kinds and their members. A kind that is not
/// known is kept with its members.
macro_rules! tagged {
    ($(#[$about:meta])* $name:ident by $tag:literal {
        $($(#[$doc:meta])* $variant:ident = $word:literal {
            $($(#[$field_doc:meta])* $field:ident $(($required:ident))? : $kind:ty,)*
        })*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $($(#[$doc])* $variant { $($(#[$field_doc])* $field: $kind,)* },)*
            /// A kind that the contract does not name; its members are kept beside it.
            Other {
                /// Its tag.
                kind: String,
            },
        }

        impl $name {
            /// The tag on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $($name::$variant { .. } => $word,)*
                    $name::Other { kind } => kind,
                }
            }

            pub(in $crate::backplane) fn take(
                taking: &mut $crate::backplane::contract::Taking<'_, '_>,
            ) -> Result<Self, $crate::error::ApiError> {
                let kind: String = taking.required($tag)?;
                Ok(match kind.as_str() {
                    $($word => $name::$variant {
                        $($field: $crate::backplane::contract::objects!(@take taking $field $($required)?),)*
                    },)*
                    _ => $name::Other { kind },
                })
            }

            pub(in $crate::backplane) fn put<'o>(
                &self,
                object: $crate::json::Object<'o>,
            ) -> $crate::json::Object<'o> {
                let object = object.text($tag, self.name());
                match self {
                    $($name::$variant { $($field),* } => {
                        $(let object = $crate::backplane::contract::put(
                            object, stringify!($field), $field,
                        );)*
                        object
                    })*
                    $name::Other { .. } => object,
                }
            }
        }
    };
}

pub(super) use {objects, tagged, words};
