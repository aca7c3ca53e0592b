//! Writing JSON in one pass, into a growing `String`: members in the order they are given, values
//! either taken over as [`Raw`] text or made from plain Rust values.

use super::Raw;
use super::scan::run_bytes;

/// Appends `text` as a JSON string with its quotes.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_unquoted(out, text);
    out.push('"');
}

/// Appends `text` escaped for the inside of a JSON string, without quotes.
pub fn push_unquoted(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(run_bytes(rest.as_bytes()));
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                let hex = b"0123456789abcdef";
                let digit = |nibble: u32| hex.get(nibble as usize & 15).map_or('0', |d| *d as char);
                out.push_str("\\u00");
                out.push(digit(control as u32 >> 4));
                out.push(digit(control as u32));
            }
            None => return,
        }
        rest = chars.as_str();
    }
}

/// An object's text with one member given another string value. All other bytes stay as they are; a
/// member that is not there comes first.
///
/// ```
/// use latimer_wire::json::with_text_member;
/// assert_eq!(with_text_member(r#"{ "a": 1.0,"m":"x" }"#, "m", "y"), r#"{ "a": 1.0,"m":"y" }"#);
/// assert_eq!(with_text_member(r#"{"a":1}"#, "m", "y"), r#"{"m":"y","a":1}"#);
/// ```
pub fn with_text_member(object: &str, key: &str, value: &str) -> String {
    let mut literal = String::new();
    push_string(&mut literal, value);
    let member = Raw::parse(object).ok().and_then(|raw| raw.member(key));
    let place = member.and_then(|value| {
        let from = value.as_str().as_ptr() as usize - object.as_ptr() as usize;
        Some((object.get(..from)?, object.get(from + value.as_str().len()..)?))
    });
    match place {
        Some((before, after)) => [before, &literal, after].concat(),
        None => {
            let mut first = String::from("{");
            push_string(&mut first, key);
            let separator = if object.trim_end().ends_with("{}") { "" } else { "," };
            object.replacen('{', &format!("{first}:{literal}{separator}"), 1)
        }
    }
}

/// An object that is being written. Call [`Object::end`] to close it.
///
/// ```
/// use latimer_wire::json::Object;
/// let mut out = String::new();
/// Object::new(&mut out).text("name", "a\"b").number("n", 3).null("x").end();
/// assert_eq!(out, r#"{"name":"a\"b","n":3,"x":null}"#);
/// ```
#[must_use = "an object has to be closed with `end`"]
pub struct Object<'o> {
    out: &'o mut String,
    /// Whether it has no member yet.
    is_empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub fn new(out: &'o mut String) -> Self {
        Object { out, is_empty: true }
    }

    /// Goes on with an object that is open at the end of `out` and has a member already.
    pub(crate) fn resume(out: &'o mut String) -> Self {
        Object { out, is_empty: false }
    }

    /// Writes a key and leaves the value to the caller, who must append exactly one. A key of the
    /// program's own is plain; one that came from elsewhere goes through [`Object::member`].
    pub fn key(&mut self, key: &'static str) -> &mut String {
        debug_assert_eq!(run_bytes(key.as_bytes()), key.len(), "`{key}` would have to be escaped");
        self.begin_key();
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }

    /// Writes what stands before a key.
    #[inline]
    fn begin_key(&mut self) {
        self.out.push_str(if std::mem::take(&mut self.is_empty) { "{\"" } else { ",\"" });
    }

    /// A member as it came, whatever its key is.
    pub fn member(self, key: &str, value: Raw<'_>) -> Self {
        self.member_with(key, |out| out.push_str(value.as_str()))
    }

    /// The same with a value that is written by `write`, which must append exactly one.
    pub fn member_with(mut self, key: &str, write: impl FnOnce(&mut String)) -> Self {
        self.begin_key();
        push_unquoted(self.out, key);
        self.out.push_str("\":");
        write(self.out);
        self
    }

    /// A member whose value is text that is already JSON.
    pub fn raw(mut self, key: &'static str, value: Raw<'_>) -> Self {
        self.key(key).push_str(value.as_str());
        self
    }

    /// Like [`Object::raw`], left out when there is none.
    pub fn raw_if(self, key: &'static str, value: Option<Raw<'_>>) -> Self {
        match value {
            Some(value) => self.raw(key, value),
            None => self,
        }
    }

    /// A string member.
    pub fn text(mut self, key: &'static str, value: &str) -> Self {
        push_string(self.key(key), value);
        self
    }

    /// A number member.
    pub fn number(mut self, key: &'static str, value: u64) -> Self {
        push_number(self.key(key), value);
        self
    }

    /// A boolean member.
    pub fn boolean(mut self, key: &'static str, value: bool) -> Self {
        self.key(key).push_str(if value { "true" } else { "false" });
        self
    }

    /// A `null` member.
    pub fn null(self, key: &'static str) -> Self {
        self.raw(key, Raw::NULL)
    }

    /// A member written by `write`, which must append exactly one value.
    pub fn with(mut self, key: &'static str, write: impl FnOnce(&mut String)) -> Self {
        write(self.key(key));
        self
    }

    /// An array member: `write` appends each element.
    pub fn list<T>(
        mut self,
        key: &'static str,
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) -> Self {
        let out = self.key(key);
        out.push('[');
        let mut first = true;
        for element in elements {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            write(out, element);
        }
        out.push(']');
        self
    }

    /// Closes the object.
    pub fn end(self) {
        if self.is_empty {
            self.out.push('{');
        }
        self.out.push('}');
    }
}

/// Appends a decimal number without going through the formatting machinery.
pub(crate) fn push_number(out: &mut String, value: u64) {
    if value >= 10 {
        push_number(out, value / 10);
    }
    out.push(char::from(b'0' + (value % 10) as u8));
}
