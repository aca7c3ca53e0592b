//! The tool calls of an answer, put together from events that each know a part: the item has the
//! name and call id, the `done` event the arguments, the deltas what arrived before a stream was
//! cut. In: events and items. Out: [`ToolCall`]s in their order.

use std::borrow::Cow;

use latimer_wire::json::Fields;

use crate::content::input::call;

/// The events that bring arguments: the name without `.delta` or `.done`, and the field of the
/// `done` event.
const ARGUMENT_EVENTS: &[(&str, &str)] = &[
    ("response.function_call_arguments", "arguments"),
    ("response.custom_tool_call_input", "input"),
    ("response.mcp_call_arguments", "arguments"),
];

/// One call of a tool.
#[derive(Debug, Default)]
pub(crate) struct ToolCall {
    pub(crate) name: Option<String>,
    pub(crate) call_id: Option<String>,
    /// The arguments, as far as they came.
    pub(crate) arguments: String,
    /// All of the arguments came.
    pub(crate) is_done: bool,
    item_id: Option<String>,
    item_at: Option<u64>,
}

/// The calls of one answer.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls(Vec<ToolCall>);

impl ToolCalls {
    /// The calls in the order in which they began.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &ToolCall> {
        self.0.iter()
    }

    /// Takes an event that may bring arguments; any other is passed over.
    pub(crate) fn event(&mut self, kind: &str, event: &Fields<'_>) {
        let Some((name, end)) = kind.rsplit_once('.') else { return };
        let Some((_, field)) = ARGUMENT_EVENTS.iter().find(|(known, _)| *known == name) else {
            return;
        };
        let mut seen = ToolCall {
            name: event.text("name").map(Cow::into_owned),
            call_id: event.text("call_id").map(Cow::into_owned),
            item_id: event.text("item_id").map(Cow::into_owned),
            item_at: event.number("output_index"),
            ..ToolCall::default()
        };
        if end == "done" {
            seen.arguments = event.text(field).unwrap_or_default().into_owned();
            seen.is_done = true;
            self.merge(seen);
        } else if let (Some(call), Some(delta)) = (self.find(&seen), event.text("delta")) {
            call.arguments.push_str(&delta);
        }
    }

    /// Takes an item that may be a call; `is_done` when it is whole.
    pub(crate) fn item(&mut self, item: &Fields<'_>, item_at: Option<u64>, is_done: bool) {
        if let Some((name, arguments)) = call(item) {
            self.merge(ToolCall {
                name: Some(name.into_owned()),
                call_id: item.text("call_id").map(Cow::into_owned),
                arguments: arguments.into_owned(),
                is_done,
                item_id: item.text("id").map(Cow::into_owned),
                item_at,
            });
        }
    }

    fn merge(&mut self, seen: ToolCall) {
        let Some(call) = self.find(&seen) else { return self.0.push(seen) };
        call.name = call.name.take().or(seen.name);
        call.call_id = call.call_id.take().or(seen.call_id);
        call.item_id = call.item_id.take().or(seen.item_id);
        call.item_at = call.item_at.or(seen.item_at);
        if seen.is_done && !call.is_done {
            call.arguments = seen.arguments;
            call.is_done = true;
        }
    }

    /// The call that is meant. Ids of items come first, but some services give an item another id
    /// in each event, and others number all items 0: then the call id or the position decides.
    fn find(&mut self, seen: &ToolCall) -> Option<&mut ToolCall> {
        let by_item = |call: &ToolCall| seen.item_id.is_some() && call.item_id == seen.item_id;
        let by_place = |call: &ToolCall| match (&call.call_id, &seen.call_id) {
            (Some(one), Some(other)) => one == other,
            _ => seen.item_at.is_some() && call.item_at == seen.item_at,
        };
        let at = self.0.iter().position(by_item).or_else(|| self.0.iter().position(by_place))?;
        self.0.get_mut(at)
    }
}
