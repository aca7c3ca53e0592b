//! A request and what came before it: what it says of its past, how the past becomes part of it, and
//! what is asked to have the past summed up. In: a request, and items that are known. Out: a request
//! for a backend without memory.

use std::borrow::Cow;
use std::ops::Range;

use super::request::{Item, Request};
use crate::json::{Object, Raw};
use crate::path::Path;

/// The type of an item with which a client asks for a compaction (Codex 0.169).
pub const TRIGGER: &str = "compaction_trigger";

/// Items that stand for all that came before them, in a sealed form.
const COMPACTIONS: &[&str] = &["compaction", "compaction_summary"];

/// Members that are for whoever keeps the state.
const OF_STATE: &[&str] = &["background", "conversation", "previous_response_id"];

/// Members that name what came before a request.
const NAMES_PAST: &[&str] = &["conversation", "previous_response_id"];

/// With what a client asks that a request be compacted while it is answered.
pub const MANAGEMENT: &str = "context_management";

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
        self.members.retain(|(key, _)| !OF_STATE.contains(&&**key));
        self.led_by(earlier)
    }

    /// The request with `items` in the place of all that came before it, and of its own items up to the
    /// one at `last`.
    #[must_use]
    pub fn resting_on(mut self, items: Vec<Item<'a>>, last: usize) -> Self {
        let end = (self.inherited + last + 1).min(self.input.len());
        (self.inherited, self.stand_ins, self.stood_for) = (0, items.len(), last + 1);
        self.input.splice(..end, items);
        self
    }

    /// The request with items in front that count for it alone.
    #[must_use]
    pub fn led_by(mut self, items: Vec<Item<'a>>) -> Self {
        self.inherited += items.len();
        self.input.splice(0..0, items);
        self
    }

    /// What it asks of whoever keeps the state, although it is to be sent to one who keeps none.
    pub fn asks_of_state(&self) -> Option<&'static str> {
        let asks =
            |name: &&str| self.given(name).is_some_and(|value| value.boolean() != Some(false));
        OF_STATE.iter().copied().find(|name| asks(name))
    }

    /// The request as a body for a backend that is to keep nothing of it, `model` in the place of its own.
    pub fn to_json(&self, model: Option<&str>) -> String {
        let mut out = String::with_capacity(self.bytes() + 64);
        let mut object = Object::new(&mut out);
        if let Some(model) = model {
            object = object.text("model", model);
        }
        let ours = |name: &str| {
            matches!(name, "input" | "store" | "stream")
                || OF_STATE.contains(&name)
                || name == "model" && model.is_some()
        };
        let kept = self.members.iter().filter(|(key, _)| !ours(key));
        kept.fold(object, |object, (key, value)| object.member(key, *value))
            .list("input", &self.input, |out, item| item.print(out))
            .boolean("stream", self.stream)
            .boolean("store", false)
            .end();
        out
    }

    /// Where an item of the input stands in the body the client sent; what it did not send stands in
    /// `history`.
    pub fn place(&self, index: usize) -> Path<'static> {
        let own = index.checked_sub(self.inherited);
        match own.map(|own| own.checked_sub(self.stand_ins)) {
            Some(Some(own)) => Path::INPUT.index(own + self.stood_for),
            Some(None) if self.stood_for > 0 => Path::INPUT.index(self.stood_for - 1),
            _ => Path::HISTORY.index(index),
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
        let first = self.instructions_in_front();
        let turns = self.turns_after(first);
        let enough = turns.iter().copied().find(|end| self.bytes_of(first..*end) >= bytes);
        let end = enough.or(turns.last().copied()).unwrap_or(first);
        self.input.drain(first..end);
        self.inherited = self.inherited.saturating_sub(end - first);
        (self, end - first)
    }

    /// How many items in front are instructions.
    fn instructions_in_front(&self) -> usize {
        self.input.iter().position(|item| !item.is_instruction()).unwrap_or_default()
    }

    /// Where the turns begin that follow the first.
    fn turns_after(&self, first: usize) -> Vec<usize> {
        let is_user = |at: usize| self.input.get(at).is_some_and(Item::is_from_user);
        let begins = |at: &usize| is_user(*at) && !is_user(at.saturating_sub(1));
        (first + 1..self.input.len()).filter(begins).collect()
    }

    fn bytes_of(&self, items: Range<usize>) -> usize {
        self.input.get(items).unwrap_or_default().iter().map(Item::bytes).sum()
    }

    /// How much the model has to read, nearly, in bytes: the items, the instructions and the tools.
    pub fn bytes_to_read(&self) -> usize {
        let others = ["instructions", "tools"].into_iter().filter_map(|name| self.given(name));
        let others: usize = others.map(|value| value.as_str().len()).sum();
        others + self.bytes_of(0..self.input.len())
    }

    /// Whether the client wants it compacted while it is answered, and from how many tokens on, where it
    /// says so.
    pub fn wants_management(&self) -> (bool, Option<u64>) {
        let wishes = self.given(MANAGEMENT).map(Raw::elements).unwrap_or_default();
        let is_compaction =
            |wish: &Raw<'_>| wish.member_text("type").as_deref() == Some("compaction");
        let wish = wishes.into_iter().find(is_compaction);
        (wish.is_some(), wish.and_then(|wish| wish.member("compact_threshold")?.count()))
    }

    /// Which items a compaction sums up, all others stay: not the instructions in front, and not the last
    /// turn, unless that has more than `most` bytes. There may be none.
    pub fn compactable(&self, most: usize) -> Range<usize> {
        let (first, end) = (self.instructions_in_front(), self.input.len());
        let last = self.turns_after(first).last().copied().unwrap_or(first);
        first..if self.bytes_of(last..end) > most { end } else { last }
    }

    /// The request as far as this item.
    #[must_use]
    pub fn until(mut self, end: usize) -> Self {
        self.input.truncate(end);
        self
    }

    /// The request with a summary in the place of some of its items.
    #[must_use]
    pub fn summed_up(mut self, items: Range<usize>, summary: Item<'a>) -> Self {
        let own = self.inherited + self.stand_ins;
        self.inherited = 0;
        self.stand_ins = items.start + 1 + own.saturating_sub(items.end);
        self.stood_for += items.end.saturating_sub(own);
        self.input.splice(items, [summary]);
        self
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
        if self.tools().next().is_some() {
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
        self.members().iter().map(|(key, value)| key.len() + value.as_str().len()).sum()
    }

    /// Whether it stands for all that came before it.
    pub fn is_compaction(&self) -> bool {
        COMPACTIONS.contains(&&*self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Path, Request};

    /// What a compaction sums up, and where the items that stay stand in the body.
    #[test]
    fn a_compaction_leaves_instructions_and_the_last_turn() {
        let items = |from: usize, to: usize| {
            (from..to).map(|at| format!(r#"{{"role":"user","content":"{at}"}}"#))
        };
        let answer = r#"{"role":"assistant","content":"a"}"#.to_owned();
        let body = |items: Vec<String>| format!(r#"{{"input":[{}]}}"#, items.join(","));
        let rules = r#"{"role":"developer","content":"rules"}"#.to_owned();
        let all: Vec<_> = [rules]
            .into_iter()
            .chain(items(0, 1))
            .chain([answer.clone()])
            .chain(items(1, 3))
            .collect();
        let body = body(all);
        let request = Request::parse(&body).unwrap();
        assert_eq!(request.compactable(1_000), 1..3);
        assert_eq!(request.compactable(10), 1..5, "the last turn alone is too much");
        let summary = Item::parse(&answer, Path::INPUT).unwrap();
        let short = request.summed_up(1..3, summary.clone());
        assert_eq!(short.input.len(), 4);
        assert_eq!(short.place(2).to_string(), "input[3]");
        assert_eq!(short.place(3).to_string(), "input[4]");
        // A window in the input, and then history that is summed up.
        let rested = short.resting_on(vec![summary.clone(), summary.clone()], 1);
        assert_eq!(rested.input.len(), 4);
        let places: Vec<_> = (0..4).map(|at| rested.place(at).to_string()).collect();
        assert_eq!(places, ["input[1]", "input[1]", "input[2]", "input[3]"]);
        let next = Request::parse(r#"{"input":"now"}"#).unwrap();
        let earlier = Request::parse(&body).unwrap().input;
        let next = next.continuing(earlier).summed_up(1..5, summary);
        let places: Vec<_> = (0..3).map(|at| next.place(at).to_string()).collect();
        assert_eq!(places, ["history[0]", "history[1]", "input[0]"]);
    }

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
