//! Chat Completions as the dialect of a client. `fixtures/client`: `<case>.chat.json` is lifted to
//! `<case>.hub.json`, `<case>.response.json` is told as `<case>.chunks.sse` and `<case>.whole.json`;
//! `.options` and `.shape` say how. `UPDATE_FIXTURES=1` writes what they become. Then the laws.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use common::generate::*;
use common::{
    NOW, Said, expect, fold, frames, lift, mend, parse, pretty, printed, terminal, value,
};
use latimer_wire::chat::{
    Backend, LiftOptions, Lower, Profile, Reasoning, Shape, StopSequences, lift_request,
    lower_request, push_completion_in,
};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Request, Response, unfold};
use proptest::prelude::*;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/client")
}

/// The names of the cases that have a file of this kind.
fn cases(suffix: &str) -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let names = files.filter_map(|name| name.to_str()?.strip_suffix(suffix).map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The words of a file that may not be there.
fn words(name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_default();
    text.trim_end_matches('\n').split(' ').map(str::to_owned).collect()
}

fn options(words: &[String]) -> LiftOptions {
    let has = |word: &str| words.iter().any(|other| other == word);
    LiftOptions {
        instructions: has("instructions"),
        reasoning_items: has("reasoning_items"),
        summary: has("summary=auto").then_some("auto"),
    }
}

fn shape(words: &[String]) -> (Shape, Option<StopSequences>) {
    let has = |word: &str| words.iter().any(|other| other == word);
    let reasoning = match (has("off"), has("tagged")) {
        (true, _) => Reasoning::Off,
        (_, true) => Reasoning::Tagged,
        _ => Reasoning::Content,
    };
    let stop = words.iter().find_map(|word| word.strip_prefix("stop="));
    let shape = Shape { reasoning, custom_calls: has("custom") };
    (shape, stop.map(|stop| StopSequences::new([stop.to_owned()])))
}

fn listed(notes: &Notes) -> Value {
    let mut list = String::new();
    notes.print(&mut list);
    value(&list)
}

#[test]
fn requests_are_lifted() {
    for name in cases(".chat.json") {
        let mut notes = Notes::default();
        let options = options(&words(&format!("{name}.options")));
        let chat = read(&format!("{name}.chat.json"));
        let lifted = lift_request(&chat, &options, &mut notes).unwrap();
        Request::parse(&lifted.body).unwrap();
        let mut cut = lifted.stop.clone();
        let found = pretty(&json!({
            "body": value(&lifted.body), "n": lifted.n, "stream": lifted.stream,
            "include_usage": lifted.include_usage, "custom_tools": lifted.custom_tools,
            "a stop": !lifted.stop.is_empty(), "a text, cut": cut.push("one END two"),
            "notes": listed(&notes),
        }));
        expect(&folder().join(format!("{name}.hub.json")), &found);
        for number in ["12345678901234567890123", "0.70", "1.50"] {
            assert_eq!(
                chat.contains(number),
                lifted.body.contains(number),
                "{number} keeps its digits"
            );
        }
    }
}

#[test]
fn wrong_requests_name_the_parameter() {
    for line in read("errors.jsonl").lines() {
        let case = value(line);
        let body = case["body"].to_string();
        let error = lift_request(&body, &LiftOptions::default(), &mut Notes::default());
        let error = error.err().unwrap_or_else(|| panic!("not refused: {body}"));
        assert_eq!((error.status, error.param.as_deref()), (400, case["param"].as_str()), "{body}");
    }
    for body in ["", "[]", "{", r#"{"messages":[],"messages":[]}"#] {
        assert!(lift_request(body, &LiftOptions::default(), &mut Notes::default()).is_err());
    }
}

/// The frames of a response's stream.
fn chunks(
    response: &Response,
    piece: usize,
    shape: Shape,
    stop: Option<StopSequences>,
) -> (String, Notes) {
    let lower = Lower::new("chatcmpl-1", "m", NOW, true).with_shape(shape);
    let mut lower = lower.with_stop(stop.unwrap_or_default());
    let mut out = String::new();
    unfold(response, NonZeroUsize::new(piece).unwrap(), &mut |event: &Event<'_>| {
        lower.push(event, &mut out)
    });
    (out, lower.notes().clone())
}

#[test]
fn responses_are_told() {
    for name in cases(".response.json") {
        let response = Response::parse(read(&format!("{name}.response.json"))).unwrap();
        let (shape, stop) = shape(&words(&format!("{name}.shape")));
        let (stream, _) = chunks(&response, 4, shape, stop.clone());
        expect(&folder().join(format!("{name}.chunks.sse")), &stream);
        let mut whole = String::new();
        let notes = push_completion_in(&mut whole, &response, "chatcmpl-1", NOW, shape, stop);
        let found = pretty(&json!({"completion": value(&whole), "notes": listed(&notes)}));
        expect(&folder().join(format!("{name}.whole.json")), &found);
        let all = frames([stream.as_bytes()]);
        for at in 0..stream.len() {
            let (before, after) = stream.as_bytes().split_at(at);
            assert_eq!(frames([before, after]), all, "{name} cut at byte {at}");
        }
    }
}

/// What the chunks of a stream add up to, as the message of a whole completion.
fn joined(stream: &str) -> Value {
    let mut message = json!({});
    let mut finish = Value::Null;
    for frame in frames([stream.as_bytes()]).iter().filter(|frame| *frame != "[DONE]") {
        let chunk = value(frame);
        let choice = &chunk["choices"][0];
        for member in ["content", "refusal", "reasoning_content"] {
            let piece = choice["delta"][member].as_str().unwrap_or_default();
            let before = message[member].as_str().unwrap_or_default().to_owned();
            message[member] = json!(before + piece);
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let at = call["index"].as_u64().unwrap().to_string();
            for path in
                ["/id", "/function/name", "/function/arguments", "/custom/name", "/custom/input"]
            {
                let before = message[&at][path].as_str().unwrap_or_default().to_owned();
                let piece = call.pointer(path).and_then(Value::as_str).unwrap_or_default();
                message[&at][path] = json!(before + piece);
            }
        }
        if !choice["delta"]["annotations"].is_null() {
            message["annotations"] = choice["delta"]["annotations"].clone();
        }
        finish = if choice["finish_reason"].is_null() {
            finish
        } else {
            choice["finish_reason"].clone()
        };
    }
    message["finish_reason"] = finish;
    message
}

/// A whole completion in the same form.
fn of_whole(completion: &Value) -> Value {
    let choice = &completion["choices"][0];
    let mut message = json!({"finish_reason": choice["finish_reason"]});
    for member in ["content", "refusal", "reasoning_content"] {
        message[member] = json!(choice["message"][member].as_str().unwrap_or_default());
    }
    for (at, call) in choice["message"]["tool_calls"].as_array().into_iter().flatten().enumerate() {
        for path in
            ["/id", "/function/name", "/function/arguments", "/custom/name", "/custom/input"]
        {
            let text = call.pointer(path).and_then(Value::as_str).unwrap_or_default();
            message[at.to_string()][path] = json!(text);
        }
    }
    if !choice["message"]["annotations"].is_null() {
        message["annotations"] = choice["message"]["annotations"].clone();
    }
    message
}

fn shapes() -> impl Strategy<Value = Shape> {
    let reasoning = vec![Reasoning::Content, Reasoning::Tagged, Reasoning::Off];
    (prop::sample::select(reasoning), any::<bool>())
        .prop_map(|(reasoning, custom_calls)| Shape { reasoning, custom_calls })
}

/// A history as a Chat client sends it.
fn history() -> impl Strategy<Value = Vec<Value>> {
    let call = (any::<bool>(), any::<u64>(), "[a-z]{1,9}", text());
    let said = prop::option::of(text().prop_filter("said", |text| !text.is_empty()));
    let step = (said, prop::collection::vec(call, 1..3));
    let image = json!({"type":"image_url","image_url":{"url":"data:x","detail":"low"}});
    let turn = (text(), any::<bool>(), prop::collection::vec(step, 0..3)).prop_map(
        move |(asked, picture, steps)| {
            let parts = json!([{"type":"text","text":asked}, image]);
            let content = if picture { parts } else { json!(asked) };
            let mut messages = vec![json!({"role":"user","content":content})];
            for (said, calls) in steps {
                let tool_calls = calls.iter().map(|(custom, id, name, text)| match custom {
                    true => json!({"id":format!("call_{id}"),"type":"custom",
                        "custom":{"name":name,"input":text}}),
                    false => json!({"id":format!("call_{id}"),"type":"function",
                        "function":{"name":name,"arguments":json!({"x":text}).to_string()}}),
                });
                messages.push(json!({"role":"assistant","content":said,"tool_calls":tool_calls.collect::<Vec<_>>()}));
                messages.extend(calls.iter().map(|(_, id, _, text)| {
                    json!({"role":"tool","tool_call_id":format!("call_{id}"),"content":text})
                }));
            }
            messages
        },
    );
    let system = text().prop_filter("said", |text| !text.is_empty());
    let system = system.prop_map(|text| json!({"role":"developer","content":text}));
    (prop::option::of(system), prop::collection::vec(turn, 1..3))
        .prop_map(|(system, turns)| system.into_iter().chain(turns.concat()).collect())
}

fn parameters() -> impl Strategy<Value = Value> {
    let all = json!({
        "model": "m", "temperature": 0.5, "top_p": 0.25, "max_completion_tokens": 9,
        "reasoning_effort": "low", "verbosity": "high", "metadata": {"a":"b"}, "user": "u",
        "service_tier": "flex", "prompt_cache_key": "k", "safety_identifier": "s",
        "response_format": {"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},
        "tools": [
            {"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},
            {"type":"custom","custom":{"name":"c","description":"d","format":{"type":"grammar","grammar":{"syntax":"regex","definition":"x"}}}},
        ],
        "tool_choice": {"type":"custom","custom":{"name":"c"}}, "parallel_tool_calls": false,
        "logprobs": true, "top_logprobs": 3,
        "web_search_options": {"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Rome"}}},
    });
    prop::collection::vec(any::<bool>(), 20).prop_map(move |keep| {
        let mut some = all.clone();
        let mut keep = keep.into_iter().cycle();
        some.as_object_mut().unwrap().retain(|_, _| keep.next().unwrap());
        let object = some.as_object_mut().unwrap();
        if !object.contains_key("logprobs") {
            object.remove("top_logprobs");
        }
        if !object.contains_key("tools") {
            object.remove("tool_choice");
            object.remove("parallel_tool_calls");
        }
        some
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lift_then_lower_is_the_same_request(
        messages in history(), parameters in parameters(), instructions in any::<bool>(),
    ) {
        let mut chat = parameters;
        chat["messages"] = messages.into();
        let options = LiftOptions { instructions, ..LiftOptions::default() };
        let mut notes = Notes::default();
        let lifted = lift_request(&chat.to_string(), &options, &mut notes).unwrap();
        let profile = Profile::named("openai").unwrap();
        let request = Request::parse(&lifted.body).unwrap();
        let backend = Backend { model: None, profile: &profile };
        let lowered = lower_request(&request, &backend, &mut notes).unwrap();
        prop_assert_eq!(value(&lowered.body), chat);
        prop_assert!(notes.is_empty(), "{:?}", notes);
    }

    #[test]
    fn chunks_add_up_to_the_whole(
        response in any_response(&["completed", "incomplete"]), piece in 1..9_usize,
        shape in shapes(), stop in prop::option::of(prop::sample::select(vec!["a ", "\u{1f600}", "\n", "\\"])),
    ) {
        let response = Response::parse(response.to_string()).unwrap();
        let stop = stop.map(|stop| StopSequences::new([stop.to_owned(), "{}".to_owned()]));
        let (stream, _) = chunks(&response, piece, shape, stop.clone());
        let mut whole = String::new();
        push_completion_in(&mut whole, &response, "chatcmpl-1", NOW, shape, stop);
        prop_assert_eq!(joined(&stream), of_whole(&value(&whole)));
    }

    #[test]
    fn a_text_is_cut_at_the_first_sequence(
        pieces in prop::collection::vec("[ab]{0,3}", 0..6),
        sequences in prop::collection::vec("[ab]{1,3}", 0..3),
    ) {
        let whole = pieces.concat();
        let ends = |to: usize| {
            let found = sequences.iter().filter(|sequence| whole[..to].ends_with(&***sequence));
            found.map(|sequence| to - sequence.len()).min()
        };
        let end = (1..=whole.len()).find_map(ends);
        let mut stop = StopSequences::new(sequences);
        let mut said: String = pieces.iter().map(|piece| stop.push(piece)).collect();
        prop_assert_eq!(stop.stopped(), end.is_some());
        said.push_str(&stop.end());
        prop_assert_eq!(&said, &whole[..end.unwrap_or(whole.len())]);
    }

    #[test]
    fn any_stream_reaches_a_chat_client(events in prop::collection::vec(stray_event(), 0..20)) {
        let (mended, _) = mend(&events);
        let mut lower = Lower::new("chatcmpl-1", "m", NOW, true);
        let mut out = String::new();
        mended.iter().for_each(|event| lower.push(&parse(event), &mut out));
        let frames = frames([out.as_bytes()]);
        let ends = frames.iter().filter(|frame| *frame == "[DONE]" || frame.starts_with("{\"error\""));
        prop_assert_eq!(ends.count(), 1);
    }

    #[test]
    fn texts_calls_and_usage_survive_both_ways(
        response in chat_response(&["completed", "incomplete"]), piece in piece(),
    ) {
        let parsed = Response::parse(response.to_string()).unwrap();
        let (stream, _) = chunks(&parsed, piece.get(), Shape::default(), None);
        let lifted = lift(frames([stream.as_bytes()]));
        let end = terminal(&lifted);
        prop_assert_eq!(Said::of(&end), Said::of(&response));
        prop_assert_eq!(&end["usage"], &response["usage"]);
        prop_assert_eq!(fold(&lifted), end);
    }
}

#[test]
fn a_mended_stream_is_told_however_it_is_cut() {
    let response = Response::parse(read("everything.response.json")).unwrap();
    let events = printed(|sink| unfold(&response, NonZeroUsize::new(9).unwrap(), sink));
    let mut stream = String::new();
    events.iter().for_each(|event| parse(event).print_frame(&mut stream));
    let told = |data: Vec<String>| {
        let (events, _) = mend(data);
        let mut lower = Lower::new("chatcmpl-1", "m", NOW, true);
        let mut out = String::new();
        events.iter().for_each(|event| lower.push(&parse(event), &mut out));
        joined(&out)
    };
    let whole = told(frames([stream.as_bytes()]));
    for at in (0..stream.len()).step_by(37) {
        let (before, after) = stream.as_bytes().split_at(at);
        assert_eq!(told(frames([before, after])), whole, "cut at byte {at}");
    }
}
