//! What a model answered: its texts, tool calls, usage, and how it ended. In: the events of a
//! Responses stream one by one, or a whole response object. Out: [`Answer`]. Reads what is there
//! and never refuses: a recording is a witness, not a client.

use std::borrow::Cow;

use latimer_wire::json::{Fields, Node};

use crate::content::tool_call::ToolCalls;
use crate::record::account::Tokens;
use crate::tree::tree;

/// The channels on which text arrives: the event's name without `.delta` or `.done`, and the
/// channel. The names without `_text` are those of the Open Responses specification.
const CHANNELS: &[(&str, Channel)] = &[
    ("response.reasoning_summary_text", Channel::ReasoningSummary),
    ("response.reasoning_summary", Channel::ReasoningSummary),
    ("response.reasoning_text", Channel::Reasoning),
    ("response.reasoning", Channel::Reasoning),
    ("response.output_text", Channel::OutputText),
    ("response.refusal", Channel::Refusal),
];

/// Where the same texts are in a whole item: the item's type, its list of parts, the part's type,
/// the field with the text, and the channel.
const PARTS: &[(&str, &str, &str, &str, Channel)] = &[
    ("reasoning", "summary", "summary_text", "text", Channel::ReasoningSummary),
    ("reasoning", "content", "reasoning_text", "text", Channel::Reasoning),
    ("message", "content", "output_text", "text", Channel::OutputText),
    ("message", "content", "refusal", "refusal", Channel::Refusal),
];

/// The events that end a stream, and the status each means.
const ENDS: &[(&str, &str)] = &[
    ("response.completed", "completed"),
    ("response.failed", "failed"),
    ("response.incomplete", "incomplete"),
    ("response.cancelled", "cancelled"),
];

/// One kind of text in an answer, in the order in which the report shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    ReasoningSummary,
    Reasoning,
    OutputText,
    Refusal,
}

/// What went wrong, in the service's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// Everything the report says about one answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// How the response ended; `None` while it has not, and for answers of other kinds.
    pub(crate) status: Option<String>,
    pub(crate) failure: Option<Failure>,
    pub(crate) incomplete_reason: Option<String>,
    pub(crate) calls: ToolCalls,
    pub(crate) tokens: Option<Tokens>,
    /// Whether the service says how many of them came from a cache.
    pub(crate) knows_cache: bool,
    /// Events of a Responses stream were seen.
    started: bool,
    texts: Vec<Piece>,
}

/// The text of one part of one item.
#[derive(Debug)]
struct Piece {
    channel: Channel,
    /// The positions of the item in the response and of the part in the item, where given.
    item_at: Option<u64>,
    part_at: Option<u64>,
    /// It came in deltas, not with the whole item.
    is_streamed: bool,
    text: String,
}

impl Answer {
    /// The answer in a JSON body; of a body that is no response, only the error it may hold.
    pub(crate) fn of_body(body: &Fields<'_>) -> Self {
        let mut answer = Answer::default();
        if body.get("output").is_some_and(|output| output.is_array()) {
            answer.end(body, None);
        } else {
            answer.failure = body.get("error").and_then(failure);
        }
        answer
    }

    /// Takes the next event of a stream.
    pub(crate) fn event(&mut self, kind: &str, event: &Fields<'_>) {
        self.started |= kind.starts_with("response.");
        if let Some((_, status)) = ENDS.iter().find(|(end, _)| *end == kind) {
            // Should a stream end twice, the first end counts.
            if self.status.is_none() {
                self.end(&event.fields("response"), Some(status));
            }
        } else if kind == "response.output_item.added" || kind == "response.output_item.done" {
            self.item(event, kind.ends_with(".done"));
        } else if let Some((channel, is_done)) = channel_of(kind) {
            self.text(channel, event, is_done);
        } else if kind == "error" || event.get("error").is_some_and(|error| error.is_object()) {
            let failure = event.get("error").map_or_else(|| failure_of(event, None), failure);
            self.failure = failure.or(self.failure.take());
        } else {
            self.calls.event(kind, event);
        }
    }

    /// The text of a channel; several parts stand apart by a blank line.
    pub(crate) fn text_of(&self, channel: Channel) -> Option<String> {
        let pieces = self.texts.iter().filter(|piece| piece.channel == channel);
        let texts: Vec<_> =
            pieces.map(|piece| piece.text.as_str()).filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// A Responses stream that stopped before its last event; an error is a last event as well.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.started && self.status.is_none() && self.failure.is_none()
    }

    fn text(&mut self, channel: Channel, event: &Fields<'_>, is_done: bool) {
        let part_at = event.number("content_index").or_else(|| event.number("summary_index"));
        let field = match (is_done, channel) {
            (false, _) => "delta",
            (true, Channel::Refusal) => "refusal",
            (true, _) => "text",
        };
        let Some(text) = event.text(field) else { return };
        let item_at = event.number("output_index");
        let place = (channel, item_at, part_at);
        let is_here = |piece: &Piece| (piece.channel, piece.item_at, piece.part_at) == place;
        match self.texts.iter_mut().rev().find(|piece| is_here(piece)) {
            Some(piece) if is_done => piece.text = text.into_owned(),
            Some(piece) => piece.text.push_str(&text),
            None => {
                let text = text.into_owned();
                self.texts.push(Piece { channel, item_at, part_at, is_streamed: true, text });
            }
        }
    }

    fn item(&mut self, event: &Fields<'_>, is_done: bool) {
        let Some(item) = event.get("item").map(Fields::of) else { return };
        let item_at = event.number("output_index");
        self.calls.item(&item, item_at, is_done);
        let may_be_same = |at: Option<u64>| at.is_none() || item_at.is_none() || at == item_at;
        let is_known = |piece: &Piece| piece.is_streamed && may_be_same(piece.item_at);
        if is_done {
            self.item_texts(&item, item_at, is_known);
        }
    }

    /// Takes the texts of a whole item, except on channels where they are known already.
    fn item_texts(
        &mut self,
        item: &Fields<'_>,
        item_at: Option<u64>,
        is_known: impl Fn(&Piece) -> bool,
    ) {
        for (kind, list, part_kind, field, channel) in PARTS {
            let is_here = |piece: &Piece| piece.channel == *channel && is_known(piece);
            if item.text("type").as_deref() != Some(kind) || self.texts.iter().any(is_here) {
                continue;
            }
            let parts = item.get(list).map(Node::elements).unwrap_or_default();
            for (part, part_at) in parts.into_iter().map(Fields::of).zip(0..) {
                if part.text("type").as_deref() == Some(part_kind) {
                    self.texts.push(Piece {
                        channel: *channel,
                        item_at,
                        part_at: Some(part_at),
                        is_streamed: false,
                        text: part.text(field).unwrap_or_default().into_owned(),
                    });
                }
            }
        }
    }

    /// Takes what was used, where it is said.
    fn used(&mut self, usage: &Fields<'_>) {
        let counted = USAGE.iter().find_map(|[input, output, of_input, of_output]| {
            let counts = (usage.number(input)?, usage.number(output)?);
            Some((counts, usage.fields(of_input), usage.fields(of_output)))
        });
        let Some(((input, output), of_input, of_output)) = counted else { return };
        let cached = of_input.number("cached_tokens");
        self.knows_cache = cached.is_some();
        self.tokens = Some(Tokens {
            input,
            output,
            total: usage.number("total_tokens").unwrap_or(input.saturating_add(output)),
            cached: cached.unwrap_or_default(),
            cache_write: of_input.number("cache_write_tokens").unwrap_or_default(),
            reasoning: of_output.number("reasoning_tokens").unwrap_or_default(),
        });
    }

    /// Takes the whole response: what only it knows, and what the events before did not bring.
    fn end(&mut self, response: &Fields<'_>, status: Option<&str>) {
        self.status = response.text("status").or(status.map(Cow::Borrowed)).map(Cow::into_owned);
        self.failure = response.get("error").and_then(failure).or(self.failure.take());
        let details = response.fields("incomplete_details");
        self.incomplete_reason = details.text("reason").map(Cow::into_owned);
        self.used(&response.fields("usage"));
        let known: Vec<_> = self.texts.iter().map(|piece| piece.channel).collect();
        let output = response.get("output").map(Node::elements).unwrap_or_default();
        for (item, at) in output.into_iter().map(Fields::of).zip(0..) {
            self.calls.item(&item, Some(at), true);
            self.item_texts(&item, Some(at), |piece| known.contains(&piece.channel));
        }
    }
}

/// The names of what was used: those of Responses, and those of Chat Completions.
const USAGE: [[&str; 4]; 2] = [
    ["input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"],
    ["prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"],
];

fn channel_of(kind: &str) -> Option<(Channel, bool)> {
    let (name, is_done) = match kind.strip_suffix(".delta") {
        Some(name) => (name, false),
        None => (kind.strip_suffix(".done")?, true),
    };
    CHANNELS.iter().find(|(known, _)| *known == name).map(|(_, channel)| (*channel, is_done))
}

fn failure(error: Node<'_>) -> Option<Failure> {
    failure_of(&Fields::of(error), error.text())
}

/// What an error says; one that is only a text is its own message.
fn failure_of(error: &Fields<'_>, text: Option<Cow<'_, str>>) -> Option<Failure> {
    let code = error.get("code").and_then(Node::non_null).or_else(|| error.get("type"));
    let failure = Failure {
        code: code
            .and_then(Node::non_null)
            .map(|code| crate::content::python::display(&tree(code.raw()))),
        message: error.text("message").or(text).map(Cow::into_owned),
    };
    (failure.code.is_some() || failure.message.is_some()).then_some(failure)
}
