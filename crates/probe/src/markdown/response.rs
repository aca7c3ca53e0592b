//! The body of a response: a stream of events as counts, any other body as it is, and then what the
//! model answered: how it ended, texts, tool calls, usage. In: a recorded response. Out: its part
//! of the report.

use super::Layout;
use super::page::Page;
use super::request::write_as_it_is;
use super::text::{chars, code, code_cell, cut, inline};
use crate::content::answer::{Answer, Channel};
use crate::content::parts::Parts;
use crate::content::stream::StreamSummary;
use crate::content::tool_call::ToolCall;
use crate::record::account::Tokens;
use crate::record::exchange::RecordedResponse;
use crate::words::grouped;

/// The texts of an answer in the order of the report.
const TEXTS: &[(Channel, &str)] = &[
    (Channel::ReasoningSummary, "Reasoning Summary"),
    (Channel::Reasoning, "Reasoning"),
    (Channel::OutputText, "Output Text"),
    (Channel::Refusal, "Refusal"),
];

const ARGUMENTS_MAX_CHARS: usize = 300;

/// Writes a response's body.
pub(super) fn write_body(page: &mut Page<'_>, response: &RecordedResponse<'_>, parts: &Parts<'_>) {
    let size_bytes = parts.response.size_bytes;
    match &parts.stream {
        Some(stream) => write_stream(page, title(page.layout(), response), size_bytes, stream),
        None => write_as_it_is(page, "Response Body", &response.body, size_bytes),
    }
    write_answer(page, parts.answer());
}

/// How the events came. The first layout knows one way.
fn title(layout: Layout, response: &RecordedResponse<'_>) -> &'static str {
    match layout {
        Layout::Default if response.is_websocket() => "WebSocket Messages",
        _ => "SSE Stream",
    }
}

fn write_stream(page: &mut Page<'_>, title: &str, size_bytes: u64, summary: &StreamSummary) {
    let (size, count) = (grouped(size_bytes), grouped(summary.events.total()));
    page.paragraph(format!("**{title}** ({size} bytes, {count} events)"));
    let events = summary.events.sorted();
    if !events.is_empty() {
        let rows =
            events.into_iter().map(|(kind, count)| [code_cell(kind).into(), grouped(count).into()]);
        page.table(["Event Type", "Count"], rows);
    }
    if summary.cut_off_bytes > 0 {
        let size = grouped(summary.cut_off_bytes as u64);
        page.paragraph(format!("**Cut off:** {size} bytes of an event that is not complete"));
    }
}

fn write_answer(page: &mut Page<'_>, answer: &Answer) {
    let ending = ending(answer);
    if !ending.is_empty() {
        page.paragraph(ending.join(" | "));
    }
    for (channel, title) in TEXTS {
        if let Some(text) = answer.text_of(*channel) {
            page.folded_quote(format!("<b>{title}</b> ({} chars)", chars(&text)), &text);
        }
    }
    let calls = answer.calls.iter();
    if calls.len() > 0 {
        page.paragraph(format!("**Tool Calls** ({}):", grouped(calls.len() as u64)));
        calls.for_each(|call| write_call(page, call));
        page.gap();
    }
    if let Some(tokens) = &answer.tokens {
        page.paragraph(usage(tokens));
    }
}

/// How an answer ended, unless it simply was completed.
fn ending(answer: &Answer) -> Vec<String> {
    let status = answer.status.as_deref().filter(|status| *status != "completed");
    let mut parts: Vec<_> =
        status.map(|status| format!("**Status:** {}", code(status))).into_iter().collect();
    if answer.is_unfinished() {
        parts.push("**Status:** the stream stopped before its last event".into());
    }
    if let Some(reason) = &answer.incomplete_reason {
        parts.push(format!("**reason:** {}", code(reason)));
    }
    if let Some(failure) = &answer.failure {
        let (code, message) = (failure.code.as_deref().map(code), &failure.message);
        let words: Vec<_> = code
            .into_iter()
            .chain(message.as_deref().map(|text| inline(text).into_owned()))
            .collect();
        parts.push(format!("**error:** {}", words.join(" ")));
    }
    parts
}

fn write_call(page: &mut Page<'_>, call: &ToolCall) {
    let name = code(call.name.as_deref().unwrap_or("?"));
    let call_id = call.call_id.as_deref().map(|id| format!("call_id: {}", code(id)));
    let unfinished = (!call.is_done).then(|| "unfinished".to_owned());
    let remarks: Vec<_> = call_id.into_iter().chain(unfinished).collect();
    match remarks.is_empty() {
        true => page.line(format!("- {name}")),
        false => page.line(format!("- {name} ({})", remarks.join(", "))),
    }
    page.quote_in_list(&cut(&call.arguments, ARGUMENTS_MAX_CHARS));
}

fn usage(tokens: &Tokens) -> String {
    let details: Vec<_> = [(tokens.cached, "cached"), (tokens.reasoning, "reasoning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    let details = match details.is_empty() {
        true => String::new(),
        false => format!(" ({})", details.join(", ")),
    };
    let Tokens { input, output, total, .. } = *tokens;
    let [input, output, total] = [input, output, total].map(grouped);
    format!("**Usage:** {input} input | {output} output | {total} total{details}")
}
