//! Holds an answer of the Responses API against what the upstream said: its whole text, piece by
//! piece in order, the numbers of its events, and the event that ends it.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

/// What is wrong with an answer, in a few words.
pub type Fault = Cow<'static, str>;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    sequence_number: Option<u64>,
    #[serde(borrow, default)]
    delta: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Last<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    output: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

/// Checks an answer that came as a stream, and says how many events it had.
///
/// # Errors
/// What is wrong with it.
pub fn stream(answer: &[u8], text: &str) -> Result<usize, Fault> {
    let (mut said, mut events, mut numbers, mut last) = (0, 0, None, None);
    for data in lines_of_data(answer) {
        events += 1;
        if last.is_some() {
            return Err(Fault::Borrowed("an event after the last"));
        }
        let event: Event = serde_json::from_slice(data)
            .map_err(|error| Fault::Owned(format!("an event that cannot be read: {error}")))?;
        let number = event.sequence_number.ok_or(Fault::Borrowed("an event without a number"))?;
        if numbers.is_some_and(|before| number != before + 1) {
            return Err(Fault::Borrowed("events out of order"));
        }
        if numbers.is_none() && event.kind != "response.created" {
            return Err(Fault::Owned(format!("{} comes first", event.kind)));
        }
        numbers = Some(number);
        match event.kind.as_ref() {
            "response.output_text.delta" => {
                let rest = text.get(said..).unwrap_or_default();
                if !rest.starts_with(event.delta.as_ref()) {
                    return Err(Fault::Borrowed("a piece of text that was not said there"));
                }
                said += event.delta.len();
            }
            "response.completed" => last = Some(data),
            "response.failed" | "response.incomplete" | "error" => {
                return Err(Fault::Owned(format!("it ends in {}", event.kind)));
            }
            _ => {}
        }
    }
    if said != text.len() {
        return Err(Fault::Borrowed("text is missing"));
    }
    let last = last.ok_or(Fault::Borrowed("no terminal event"))?;
    let last: Last = serde_json::from_slice(last)
        .map_err(|error| Fault::Owned(format!("an odd terminal event: {error}")))?;
    response(&last.response, text).map(|()| events)
}

/// Checks an answer that came whole.
///
/// # Errors
/// What is wrong with it.
pub fn whole(answer: &[u8], text: &str) -> Result<(), Fault> {
    let read: Response = serde_json::from_slice(answer)
        .map_err(|error| Fault::Owned(format!("an answer that cannot be read: {error}")))?;
    response(&read, text)
}

fn response(response: &Response, text: &str) -> Result<(), Fault> {
    if response.status != "completed" {
        return Err(Fault::Owned(format!("its status is {}", response.status)));
    }
    let messages = response.output.iter().filter(|item| item.kind == "message");
    let said: String = messages.flat_map(|item| &item.content).map(|part| &*part.text).collect();
    if said != text {
        return Err(Fault::Borrowed("the response does not hold the whole text"));
    }
    Ok(())
}

/// What stands behind `data:`, but the mark that some put behind the last event.
fn lines_of_data(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts = memmem::find_iter(answer, b"data:");
    std::iter::from_fn(move || {
        loop {
            let at = starts.next()?;
            let begins_line = at == 0 || answer.get(at - 1) == Some(&b'\n');
            let data = answer.get(at + b"data:".len()..).unwrap_or_default();
            let end = memchr::memchr(b'\n', data).unwrap_or(data.len());
            let data = data.get(..end).unwrap_or_default().trim_ascii();
            if begins_line && data != b"[DONE]" {
                return Some(data);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{stream, whole};
    use crate::answer::{self, Dialect};
    use crate::dialogue::{Shape, text};

    fn said(stream: bool) -> Vec<u8> {
        let shape = Shape { stream, ..Shape::stream(0, 3) };
        let pieces = answer::of(Dialect::Responses, shape);
        pieces.into_iter().flat_map(|(_, piece)| piece).collect()
    }

    #[test]
    fn what_the_upstream_says_is_right() {
        assert_eq!(stream(&said(true), &text(3)), Ok(11));
        assert_eq!(whole(&said(false), &text(3)), Ok(()));
    }

    #[test]
    fn each_fault_is_seen() {
        let right = String::from_utf8(said(true)).expect("text");
        let wrong = |from: &str, to: &str| stream(right.replacen(from, to, 1).as_bytes(), &text(3));
        for (from, to, fault) in [
            ("00001", "00002", "a piece of text that was not said there"),
            ("\"sequence_number\":5", "\"sequence_number\":6", "events out of order"),
            ("\"sequence_number\":5,", "", "an event without a number"),
            ("\"type\":\"response.created\"", "\"type\":\"x\"", "x comes first"),
            ("\"type\":\"response.completed\"", "\"type\":\"x\"", "no terminal event"),
            ("\"status\":\"completed\",\"error\"", "\"status\":\"x\",\"error\"", "its status is x"),
        ] {
            assert_eq!(wrong(from, to), Err(fault.into()), "{from} to {to}");
        }
        let (head, _) = right.split_once("event: response.completed").expect("a last event");
        assert_eq!(stream(head.as_bytes(), &text(3)), Err("no terminal event".into()));
        assert_eq!(stream(right.as_bytes(), &text(4)), Err("text is missing".into()));
    }
}
