//! A request and what came before it: what it says of its past, how the past becomes part of it, and
//! what is asked to have the past summed up. In: a request, and items that are known. Out: a request
//! for a backend without memory.

use std::borrow::Cow;

use super::request::{Item, Request};
use crate::json::Raw;
use crate::path::Path;

/// The type of an item with which a client asks for a compaction (Codex 0.169).
pub const TRIGGER: &str = "compaction_trigger";

/// Items that stand for all that came before them, in a sealed form.
const COMPACTIONS: &[&str] = &["compaction", "compaction_summary"];

/// Members that are for whoever keeps the state.
const OF_STATE: &[&str] = &["background", "conversation", "previous_response_id"];

/// Members that name what came before a request.
const NAMES_PAST: &[&str] = &["conversation", "previous_response_id"];

/// Members of a request that count for a summary of it too.
const OF_SUMMARY: &[&str] = &[
    "input",
    "instructions",
    "model",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "tools",
    "user",
];

impl<'a> Request<'a> {
    /// Whether it names what came before it, which then may be all there is to read.
    pub fn is_continuation(&self) -> bool {
        NAMES_PAST.iter().any(|name| self.given(name).is_some())
    }

    /// The request as a backend without memory needs it: `earlier` stands in front of its own items,
    /// and the members are gone that are for whoever keeps the state. What a client is told of its
    /// request is to be taken from the request as it was before.
    #[must_use]
    pub fn continuing(mut self, earlier: Vec<Item<'a>>) -> Self {
        self.inherited += earlier.len();
        self.input.splice(0..0, earlier);
        self.members.retain(|(key, _)| !OF_STATE.contains(&&**key));
        self
    }

    /// Where an item of the input stands in the body the client sent; what it did not send stands in
    /// `history`.
    pub fn place(&self, index: usize) -> Path<'static> {
        match index.checked_sub(self.inherited) {
            Some(own) => Path::INPUT.index(own),
            None => Path::HISTORY.index(index),
        }
    }

    /// How many items of the input come from earlier turns.
    pub fn inherited(&self) -> usize {
        self.inherited
    }

    /// The request without a parameter that somebody else has settled.
    #[must_use]
    pub fn without(mut self, parameter: &str) -> Self {
        self.members.retain(|(key, _)| key != parameter);
        self
    }

    /// The request without its oldest turns, whole ones, so many that `bytes` of items are gone or the
    /// last turn alone is left; and how many items went. A turn is what the user said and all that
    /// followed, so that calls stay with their outputs. Instructions in front stay.
    #[must_use]
    pub fn without_oldest(mut self, bytes: usize) -> (Self, usize) {
        let first = self.input.iter().position(|item| !item.is_instruction()).unwrap_or_default();
        let is_user = |at: usize| self.input.get(at).is_some_and(Item::is_from_user);
        let begins = |at: &usize| is_user(*at) && !is_user(at.saturating_sub(1));
        let turns: Vec<usize> = (first + 1..self.input.len()).filter(begins).collect();
        let goes = |end: usize| -> usize {
            let items = self.input.get(first..end).unwrap_or_default();
            items.iter().map(Item::bytes).sum()
        };
        let enough = turns.iter().copied().find(|end| goes(*end) >= bytes);
        let end = enough.or(turns.last().copied()).unwrap_or(first);
        self.input.drain(first..end);
        self.inherited = self.inherited.saturating_sub(end - first);
        (self, end - first)
    }

    /// Whether it ends in the wish for a compaction.
    pub fn wants_compaction(&self) -> bool {
        self.input.last().is_some_and(|item| item.kind == TRIGGER)
    }

    /// The request for a summary of what is there: `prompt` asks for it, as the last item, and no tool
    /// is called.
    #[must_use]
    pub fn asking_for_summary(mut self, prompt: Item<'a>) -> Self {
        self.input.retain(|item| item.kind != TRIGGER);
        self.input.push(prompt);
        self.stream = true;
        self.members.retain(|(key, _)| OF_SUMMARY.contains(&&**key));
        if !self.tools.is_empty() {
            self.members.push((Cow::Borrowed("tool_choice"), Raw::trusted("\"none\"")));
        }
        self
    }
}

impl Item<'_> {
    fn has_role(&self, roles: &[&str]) -> bool {
        let role = self.string("role").map(Raw::inner).unwrap_or_default();
        self.kind == "message" && roles.contains(&role)
    }

    fn is_from_user(&self) -> bool {
        self.has_role(&["user"])
    }

    fn is_instruction(&self) -> bool {
        self.has_role(&["developer", "system"])
    }

    /// How long it is, nearly.
    fn bytes(&self) -> usize {
        self.members.iter().map(|(key, value)| key.len() + value.as_str().len()).sum()
    }

    /// Whether it stands for all that came before it.
    pub fn is_compaction(&self) -> bool {
        COMPACTIONS.contains(&&*self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn the_oldest_turns_go_whole_and_calls_keep_their_outputs() {
        let body = r#"{"input":[
            {"role":"developer","content":"rules"},
            {"role":"user","content":"one"},{"role":"user","content":"and"},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"42"},
            {"role":"user","content":"two"},{"role":"assistant","content":"2"},
            {"role":"user","content":"three"}]}"#;
        let request = Request::parse(body).unwrap();
        // how many bytes are to go, how many items do, and what the first turn that is left says
        for (bytes, gone, left) in
            [(0, 4, "two"), (1, 4, "two"), (150, 6, "three"), (9_999, 6, "three")]
        {
            let (short, went) = request.clone().without_oldest(bytes);
            assert_eq!(went, gone, "{bytes}");
            let said: Vec<_> =
                short.input.iter().filter_map(|item| item.string("content")).collect();
            assert_eq!(said.first().map(|text| text.inner()), Some("rules"));
            assert_eq!(said.get(1).map(|text| text.inner()), Some(left));
        }
    }
}
