//! What several tests need: events as they are printed, walked by the grammar, folded, and lifted
//! from chat frames. Everything is compared as `serde_json::Value`, so no test trusts our reader.
#![allow(dead_code, reason = "no test needs all of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

pub mod generate;

use std::fs;
use std::path::Path;

use latimer_wire::chat::{Backend, Lift, Profile, lower_request};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{
    Envelope, Event, Field, Fold, Grammar, Mend, Request, Role, Violation,
};
use latimer_wire::sse::Decoder;
use serde_json::Value;

/// The time of every test, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;

pub fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The events that `speak` gives its sink, printed.
pub fn printed(speak: impl FnOnce(&mut dyn latimer_wire::responses::Sink)) -> Vec<String> {
    let mut events = Vec::new();
    speak(&mut |event: &Event<'_>| {
        let mut text = String::new();
        event.print(&mut text);
        events.push(text);
    });
    events
}

pub fn parse(event: &str) -> Event<'_> {
    Event::parse(event, None).unwrap_or_else(|error| panic!("{error}: {event}"))
}

/// What the grammar has against a stream.
pub fn violations<'e>(events: impl IntoIterator<Item = &'e String>) -> Vec<Violation> {
    let mut grammar = Grammar::default();
    events.into_iter().filter_map(|event| grammar.admit(&parse(event)).err()).collect()
}

pub fn fold<'e>(events: impl IntoIterator<Item = &'e String>) -> Value {
    let mut fold = Fold::default();
    events.into_iter().for_each(|event| fold.push(&parse(event)));
    value(fold.finish().json().as_str())
}

/// A lift for the answer to `request`.
pub fn lift_for(request: &str) -> Lift {
    lift_from(request, &Profile::default())
}

/// A lift for the answer of a backend with `profile` to `request`.
pub fn lift_from(request: &str, profile: &Profile) -> Lift {
    let request = Request::parse(request).unwrap();
    let backend = Backend { model: None, profile };
    let toolbox = lower_request(&request, &backend, &mut Notes::default()).unwrap().toolbox;
    Lift::new(Envelope::new(&request, "resp_1", NOW), "1")
        .with_tools(toolbox)
        .with_think_tags(profile.think_tags)
}

/// The events that a stream of chat frames becomes.
pub fn lift<T: AsRef<str>>(frames: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut lift = lift_for(r#"{"input":"Hi"}"#);
    printed(|sink| {
        frames.into_iter().for_each(|frame| lift.push(frame.as_ref(), NOW, sink));
        lift.end(NOW, sink);
    })
}

/// The data of all frames in `pieces` of one stream.
pub fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new(1 << 24);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next().unwrap() {
            frames.push(frame.data.into_owned());
        }
    }
    frames
}

/// The response that the last of `events` holds.
pub fn terminal(events: &[String]) -> Value {
    value(events.last().unwrap())["response"].take()
}

/// What a response says, without how it is cut into items.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub refusal: String,
    pub reasoning: String,
    /// Call id, name, arguments.
    pub calls: Vec<[String; 3]>,
}

impl Said {
    pub fn of(response: &Value) -> Said {
        let mut said = Said::default();
        for item in response["output"].as_array().unwrap() {
            let parts = ["summary", "content"].into_iter().filter_map(|list| item[list].as_array());
            for part in parts.flatten() {
                let text = part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default();
                match part["type"].as_str().unwrap() {
                    "output_text" => said.text.push_str(text),
                    "refusal" => said.refusal.push_str(text),
                    "summary_text" | "reasoning_text" => said.reasoning.push_str(text),
                    other => panic!("a part of type {other}"),
                }
            }
            if item["type"] == "function_call" {
                let member = |name: &str| item[name].as_str().unwrap().to_owned();
                said.calls.push([member("call_id"), member("name"), member("arguments")]);
            }
        }
        said
    }
}

/// The recordings of one dialect: name and text. None when there are no recordings here.
pub fn recordings(dialect: &str) -> Vec<(String, String)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = workspace.join("../shared/samples/recordings").join(dialect);
    let Ok(files) = fs::read_dir(folder) else {
        eprintln!("skipped: no recordings of {dialect} beside the project");
        return Vec::new();
    };
    let mut recordings: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    recordings.sort();
    assert!(!recordings.is_empty());
    recordings
}

/// Lines that are not JSON, and the text that mends them.
const BROKEN_LINES: &[(&str, usize, &str)] = &[
    // Edited by hand: the brace that closes the event is missing.
    ("parallel-tool-call-wrapper.1.jsonl", 1, "}"),
    ("parallel-tool-call-wrapper.1.jsonl", 6, "}"),
];

/// The streams of a recording; each begins with `response.created`.
pub fn streams(name: &str, text: &str) -> Vec<Vec<String>> {
    let mut streams: Vec<Vec<String>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let mend = BROKEN_LINES.iter().find(|(file, at, _)| *file == name && *at == number);
        assert_eq!(Raw::parse(line).is_err(), mend.is_some(), "{name}:{number}");
        let line = line.to_owned() + mend.map_or("", |(.., mend)| mend);
        if parse(&line).name() == "response.created" {
            streams.push(Vec::new());
        }
        streams.last_mut().unwrap().push(line);
    }
    streams
}

/// The events that come of some frames, and the notes.
pub fn mend<T: AsRef<str>>(frames: impl IntoIterator<Item = T>) -> (Vec<String>, Notes) {
    let envelope = Envelope::new(&Request::default(), "resp_ours", NOW);
    let mut mend = Mend::new(envelope, "x");
    let events = printed(|sink| {
        frames.into_iter().for_each(|frame| mend.push(frame.as_ref(), None, sink));
        mend.end(sink);
    });
    (events, mend.notes().clone())
}

pub fn codes(notes: &Notes) -> Vec<&'static str> {
    let mut codes: Vec<_> = notes.list().iter().map(|note| note.code).collect();
    codes.sort_unstable();
    codes
}

/// All that the deltas of a stream say, by kind of text.
pub fn said(events: &[String]) -> Value {
    let mut said = serde_json::Map::new();
    for event in events.iter().map(|event| parse(event)) {
        let Role::Delta(field) = event.role() else { continue };
        let name = match field {
            Field::OutputText => "text",
            Field::Refusal => "refusal",
            Field::ReasoningText | Field::SummaryText => "reasoning",
            _ => "call",
        };
        let text = event.payload.unwrap().text().unwrap().into_owned();
        let before = said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        said.insert(name.to_owned(), (before + &text).into());
    }
    said.into()
}

pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// Compares with a file, or rewrites it.
pub fn expect(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path);
    let expected = expected.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found, expected, "{}", path.display());
}
