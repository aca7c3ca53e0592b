//! A response as it stands: JSON text, with a view of the members that Latimer acts on.

use crate::json::{Malformed, Object, Raw};

/// A whole response object. Everything in it is kept, known or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    json: String,
}

impl Default for Response {
    /// The empty object.
    fn default() -> Self {
        Response { json: "{}".to_owned() }
    }
}

impl Response {
    /// Checks that `json` is one JSON object and takes it.
    ///
    /// # Errors
    /// [`Malformed`] when it is not.
    pub fn parse(json: impl Into<String>) -> Result<Self, Malformed> {
        let json = json.into();
        if !Raw::parse(&json)?.is_object() {
            return Err(Malformed { what: "expected an object", at: 0 });
        }
        Ok(Response { json })
    }

    pub(crate) fn of(object: Raw<'_>) -> Self {
        Response { json: object.as_str().to_owned() }
    }

    /// The object's text.
    pub fn json(&self) -> Raw<'_> {
        Raw::trusted(&self.json)
    }

    /// The text itself, given up by the response.
    pub fn into_json(self) -> String {
        self.json
    }

    /// The items of `output`, in their order.
    pub fn output(&self) -> Vec<Raw<'_>> {
        self.json().member("output").map(Raw::elements).unwrap_or_default()
    }

    /// The response with some members given new values: in their place where they exist, at the
    /// end where they do not.
    #[must_use]
    pub fn with(&self, changes: &[(&str, Raw<'_>)]) -> Response {
        let mut json = String::with_capacity(self.json.len());
        push_changed(&mut json, self.json(), changes);
        Response { json }
    }
}

/// Appends `object` with the members of `changes` replaced or added.
pub(crate) fn push_changed(out: &mut String, object: Raw<'_>, changes: &[(&str, Raw<'_>)]) {
    let members = object.members();
    let mut writer = Object::new(out);
    for (key, value) in &members {
        let change = changes.iter().find(|(name, _)| name == key);
        writer = writer.member(key, change.map_or(*value, |(_, value)| *value));
    }
    for (key, value) in changes {
        if !members.iter().any(|(name, _)| name == key) {
            writer = writer.member(key, *value);
        }
    }
    writer.end();
}

/// An object with some members changed; as it is where there is nothing to change.
pub(super) fn changed(object: Raw<'_>, changes: &[(&str, Raw<'_>)]) -> String {
    if changes.is_empty() {
        return object.as_str().to_owned();
    }
    let mut json = String::with_capacity(object.as_str().len());
    push_changed(&mut json, object, changes);
    json
}
