//! The laws that hold for every response: fold and unfold are each other's inverse, the grammar
//! admits what we emit, events keep their value, and Chat Completions carries what it can.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod common;

use common::generate::*;
use common::{
    NOW, Said, fold, frames, lift, lift_for, parse, printed, terminal, value, violations,
};
use latimer_wire::chat::{Backend, Lower, PROFILES, lower_request, push_completion};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Field, Kind, Request, Response, Role};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The frames of a hub stream in Chat Completions, as bytes.
fn lowered(events: &[String]) -> String {
    let mut lower = Lower::new("chatcmpl_1", "m", NOW, true);
    let mut out = String::new();
    events.iter().for_each(|event| lower.push(&parse(event), &mut out));
    out
}

/// The events with sequence numbers from 0.
fn renumbered(events: &[String]) -> Vec<String> {
    let number = |(number, event): (usize, &String)| {
        let mut event = value(event);
        event["sequence_number"] = json!(number);
        event.to_string()
    };
    events.iter().enumerate().map(number).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fold_undoes_unfold(response in any_response(ENDS), piece in piece()) {
        let events = unfolded(&response, piece);
        prop_assert_eq!(violations(&events), vec![]);
        prop_assert_eq!(&fold(&events), &response);
        let emptied = changed(&events, empty_the_snapshot);
        prop_assert_eq!(&fold(&emptied), &response, "from the finished items");
        let without_indices = changed(&emptied, |event| {
            event.as_object_mut().unwrap().remove("output_index");
            true
        });
        prop_assert_eq!(&fold(&without_indices), &response, "without output indices");
    }

    #[test]
    fn deltas_alone_make_the_response(response in any_response(&["completed"]), piece in piece()) {
        let deltas = changed(&unfolded(&response, piece), |event| {
            empty_the_snapshot(event) && event["type"] != "response.output_item.done"
        });
        prop_assert_eq!(&fold(&deltas), &response);
    }

    #[test]
    fn a_stream_without_its_end_has_failed(
        response in any_response(ENDS), piece in piece(), keep in any::<prop::sample::Index>(),
    ) {
        let events = unfolded(&response, piece);
        let cut = &events[..keep.index(events.len())];
        let folded = fold(cut);
        prop_assert_eq!(&folded["status"], "failed");
        prop_assert_eq!(&folded["error"]["code"], "stream_incomplete");
        prop_assert_eq!(violations(cut), vec![]);
    }

    #[test]
    fn a_step_left_out_or_taken_twice_is_seen(
        response in any_response(&["completed"]), piece in piece(), at in any::<prop::sample::Index>(),
    ) {
        let events = unfolded(&response, piece);
        let at = at.index(events.len());
        let role = parse(&events[at]).role();
        let may_repeat = matches!(role, Role::Delta(_) | Role::Done(Field::Code));
        let may_miss = may_repeat || matches!(role, Role::InProgress | Role::Terminal(_));
        let mut missing = events.clone();
        missing.remove(at);
        prop_assert_eq!(violations(&renumbered(&missing)).is_empty(), may_miss, "{}", &events[at]);
        let mut twice = events;
        twice.insert(at, twice[at].clone());
        prop_assert_eq!(violations(&renumbered(&twice)).is_empty(), may_repeat, "{}", &twice[at]);
        let numbering = violations(&twice).len();
        prop_assert!(numbering > 0, "a number that comes twice is seen by itself");
    }

    #[test]
    fn events_keep_their_value(
        kind in prop::sample::select(
            Kind::ALL.iter().map(|kind| kind.row().name).chain(["", "response.warp"]).collect::<Vec<_>>()),
        members in prop::collection::vec((
            prop_oneof![
                prop::sample::select(vec![
                    "type", "sequence_number", "output_index", "content_index", "summary_index",
                    "command_index", "item_id", "delta", "text", "item", "part", "response", "message",
                    "error", "arguments", "obfuscation", "",
                ]).prop_map(str::to_owned),
                text(),
            ],
            prop_oneof![
                any::<u64>().prop_map(Value::from), any::<f64>().prop_map(Value::from), anything(),
                Just(json!(2.0)), Just(json!("3")), text().prop_map(Value::from),
            ],
        ), 0..8),
        typed in any::<bool>(),
    ) {
        let mut event: serde_json::Map<String, Value> = members.into_iter().collect();
        if typed {
            event.insert("type".to_owned(), kind.into());
        }
        let event = Value::Object(event);
        let text = event.to_string();
        let mut out = String::new();
        parse(&text).print(&mut out);
        // An empty type is the same as none.
        let same = |mut event: Value| {
            if event["type"] == "" {
                event.as_object_mut().unwrap().remove("type");
            }
            event
        };
        prop_assert_eq!(same(value(&out)), same(value(&text)));
        let mut frame = String::new();
        parse(&text).print_frame(&mut frame);
        prop_assert_eq!(frames([frame.as_bytes()]), vec![out]);
        let pretty = serde_json::to_string_pretty(&value(&text)).unwrap();
        let mut frame = String::new();
        parse(&pretty).print_frame(&mut frame);
        prop_assert_eq!(frame.matches('\n').count(), 2 + usize::from(frame.starts_with("event: ")));
        prop_assert_eq!(same(value(&frames([frame.as_bytes()])[0])), same(value(&pretty)));
    }

    #[test]
    fn chat_carries_what_a_response_says(response in chat_response(ENDS), piece in piece()) {
        let lifted = lift(frames([lowered(&unfolded(&response, piece)).as_bytes()]));
        prop_assert_eq!(violations(&lifted), vec![]);
        let end = terminal(&lifted);
        prop_assert_eq!(Said::of(&end), Said::of(&response));
        for member in ["status", "incomplete_details", "error"] {
            prop_assert_eq!(&end[member], &response[member]);
        }
        if response["status"] != "failed" {
            prop_assert_eq!(&end["usage"], &response["usage"]);
            prop_assert_eq!(&fold(&changed(&lifted, empty_the_snapshot)), &end);
        }
    }

    #[test]
    fn a_chat_stream_cut_before_its_end_has_failed(
        response in chat_response(&["completed", "incomplete"]), piece in piece(),
        keep in any::<prop::sample::Index>(),
    ) {
        let bytes = lowered(&unfolded(&response, piece));
        let end = bytes.rfind("\"finish_reason\":\"").unwrap();
        let lifted = lift(frames([&bytes.as_bytes()[..keep.index(end)]]));
        prop_assert_eq!(violations(&lifted), vec![]);
        let terminals = ["completed", "incomplete", "failed"].map(|end| {
            let name = format!("response.{end}");
            lifted.iter().filter(|event| parse(event).name() == name).count()
        });
        prop_assert_eq!(terminals, [0, 0, 1]);
        prop_assert_eq!(&terminal(&lifted)["status"], "failed");
    }

    #[test]
    fn streamed_or_whole_is_the_same(
        thoughts in prop::collection::vec(reasoning(), 0..2),
        texts in prop::collection::vec(text(), 0..3),
        refusals in prop::collection::vec(text(), 0..2),
        calls in prop::collection::vec(function_call(), 0..3),
        end in chat_response(&["completed", "incomplete"]),
        piece in piece(),
    ) {
        let mut response = end;
        let parts: Vec<Value> = texts.iter().map(|text| json!({"type":"output_text","text":text}))
            .chain(refusals.iter().map(|refusal| json!({"type":"refusal","refusal":refusal}))).collect();
        let message = json!({"type":"message","content":parts});
        let mut output: Vec<Value> = thoughts.into_iter().chain([message]).chain(calls).collect();
        for (index, item) in output.iter_mut().enumerate() {
            if item["call_id"].is_string() {
                item["call_id"] = json!(format!("call_{index}"));
            }
        }
        response["output"] = output.into();
        let streamed = lift(frames([lowered(&unfolded(&response, piece)).as_bytes()]));
        let mut completion = String::new();
        push_completion(&mut completion, &Response::parse(response.to_string()).unwrap(), "c", NOW);
        let mut whole = lift_for(r#"{"input":"Hi"}"#);
        let whole = printed(|sink| whole.push_whole(&completion, NOW, sink));
        prop_assert_eq!(violations(&whole), vec![]);
        prop_assert_eq!(terminal(&whole), terminal(&streamed));
        prop_assert_eq!(Said::of(&terminal(&whole)), Said::of(&response));
    }

    #[test]
    fn whatever_a_backend_sends_becomes_a_legal_stream(
        chunks in prop::collection::vec(chunk(), 0..12), done in any::<bool>(),
    ) {
        let lifted = lift(chunks.into_iter().chain(done.then(|| "[DONE]".to_owned())));
        prop_assert_eq!(violations(&lifted), vec![]);
        let end = terminal(&lifted);
        prop_assert_eq!(&fold(&lifted), &end);
        let rebuilt = fold(&changed(&lifted, empty_the_snapshot));
        prop_assert_eq!(&rebuilt, &end);
    }

    #[test]
    fn whatever_events_come_make_a_response(events in prop::collection::vec(stray_event(), 0..20)) {
        violations(&events);
        let folded = fold(&events);
        prop_assert!(folded["status"].is_string() && folded.is_object());
        let mut lower = Lower::new("chatcmpl_1", "m", NOW, true);
        let mut out = String::new();
        events.iter().for_each(|event| lower.push(&parse(event), &mut out));
        let frames = frames([out.as_bytes()]);
        frames.iter().filter(|data| *data != "[DONE]").for_each(|data| drop(value(data)));
    }

    #[test]
    fn a_turn_more_keeps_the_bytes_of_the_turns_before(
        turns in prop::collection::vec(turn(), 2..5), instructions in prop::option::of(text()),
        profile in prop::sample::select(PROFILES),
    ) {
        let messages = |turns: &[Vec<Value>]| {
            let body = json!({"model":"m","instructions":instructions,"input":turns.concat()});
            let body = body.to_string();
            let request = Request::parse(&body).unwrap();
            let backend = Backend { model: None, profile: &profile };
            let lower = || lower_request(&request, &backend, &mut Notes::default()).unwrap().body;
            let (once, again) = (lower(), lower());
            assert_eq!(once, again);
            value(&once);
            Raw::parse(&once).unwrap().member("messages").unwrap().as_str().to_owned()
        };
        let (shorter, longer) = (messages(&turns[..turns.len() - 1]), messages(&turns));
        let kept = shorter.trim_end_matches(']');
        prop_assert!(longer.starts_with(kept), "{longer}\ndoes not continue\n{shorter}");
    }
}

/// A chunk as a backend might send it: fragments of calls under any index and id, texts in any
/// member, halves of surrogate pairs, a finish reason at any time.
fn chunk() -> impl Strategy<Value = String> {
    let words = |words: &'static [&'static str]| prop::sample::select(words);
    let fragment = (
        words(&["", r#""index":0,"#, r#""index":1,"#, r#""index":null,"#]),
        words(&["", r#""id":"a","#, r#""id":"b","#, r#""id":"","#, r#""id":null,"#]),
        words(&["", r#""name":"f","#, r#""name":"g","#, r#""name":null,"#]),
        words(&[
            r#""""#,
            r#""{\"x\":""#,
            r#""1}""#,
            r#""{}""#,
            r#""{\"x\":1}""#,
            r#"{"x":1}"#,
            "null",
        ]),
    )
        .prop_map(|(index, id, name, arguments)| {
            format!(r#"{{{index}{id}"function":{{{name}"arguments":{arguments}}}}}"#)
        });
    let literal = words(&["\"\"", "\"a\"", r#""\ud83d""#, r#""\ude00b""#, r#""\\ud83d""#, "null"]);
    let calls = prop::collection::vec(fragment, 1..3).prop_map(|calls| calls.join(","));
    let delta = prop_oneof![
        3 => literal.clone().prop_map(|text| format!(r#""content":{text}"#)),
        1 => literal.clone().prop_map(|text| format!(r#""reasoning_content":{text}"#)),
        1 => literal.clone().prop_map(|text| format!(r#""reasoning":{text},"content":"b""#)),
        1 => literal.prop_map(|text| format!(r#""refusal":{text}"#)),
        6 => calls.prop_map(|calls| format!(r#""tool_calls":[{calls}]"#)),
    ];
    let finish = prop_oneof![
        20 => Just("null"),
        1 => words(&["\"stop\"", "\"tool_calls\"", "\"length\"", "\"error\"", "\"warp\""]),
    ];
    let other =
        words(&["", "{}", r#"{"choices":[]}"#, r#"{"error":"no"}"#, r#"{"usage":{}}"#, "x"]);
    prop_oneof![
        40 => (delta, finish).prop_map(|(delta, finish)| {
            format!(r#"{{"choices":[{{"delta":{{{delta}}},"finish_reason":{finish}}}]}}"#)
        }),
        1 => other.prop_map(str::to_owned),
    ]
}

/// A turn of a conversation: what the user says, and steps of what the assistant says and calls,
/// each with the outputs of its calls.
fn turn() -> impl Strategy<Value = Vec<Value>> {
    let image = json!({"type":"input_image","image_url":"data:x","detail":"original"});
    let user = (text(), any::<bool>()).prop_map(move |(text, picture)| {
        let mut content = vec![json!({"type":"input_text","text":text})];
        content.extend(picture.then(|| image.clone()));
        json!({"type":"message","role":"user","content":content})
    });
    let developer = text().prop_map(|text| json!({"role":"developer","content":text}));
    let steps = prop::collection::vec(step(), 0..3);
    (prop::option::of(developer), user, steps).prop_map(|(developer, user, steps)| {
        developer.into_iter().chain([user]).chain(steps.into_iter().flatten()).collect()
    })
}

fn step() -> impl Strategy<Value = Vec<Value>> {
    let said = text().prop_map(|text| json!({"role":"assistant","content":text}));
    let said = prop::collection::vec(prop_oneof![2 => said, 1 => reasoning()], 0..3);
    let call = (0..3, any::<u64>(), text(), any::<bool>());
    (said, prop::collection::vec(call, 0..3)).prop_map(|(said, calls)| {
        let id = |id: u64| format!("call.{id}");
        let made = calls.iter().map(|(kind, number, text, _)| match kind {
            0 => json!({"type":"function_call","call_id":id(*number),"name":"f","arguments":text}),
            1 => json!({"type":"custom_tool_call","call_id":id(*number),"name":"c","input":text}),
            _ => json!({"type":"tool_search_call","call_id":id(*number),"arguments":{"q":text}}),
        });
        let outputs = calls.iter().map(|(kind, number, text, picture)| {
            let mut parts = vec![json!({"type":"input_text","text":text})];
            parts.extend(picture.then(|| json!({"type":"input_image","image_url":"data:y"})));
            match kind {
                0 => json!({"type":"function_call_output","call_id":id(*number),"output":parts}),
                1 => json!({"type":"custom_tool_call_output","call_id":id(*number),"output":text}),
                _ => json!({"type":"tool_search_output","call_id":id(*number),"tools":[]}),
            }
        });
        said.into_iter().chain(made).chain(outputs).collect()
    })
}

#[test]
fn the_type_of_the_frame_stands_in() {
    let event = Event::parse(r#"{"delta":"x"}"#, Some("response.output_text.delta")).unwrap();
    assert_eq!(event.kind, Kind::OutputTextDelta);
    let event = Event::parse(r#"{"type":"response.created"}"#, Some("error")).unwrap();
    assert_eq!(event.kind, Kind::Created);
}

#[test]
fn the_last_of_two_equal_members_counts() {
    let twice = r#"{"type":"response.output_text.delta","delta":"a","x":1,"delta":"b","x":2}"#;
    let mut out = String::new();
    parse(twice).print(&mut out);
    assert_eq!(value(&out), value(twice));
    assert_eq!(parse(twice).payload.and_then(Raw::text).as_deref(), Some("b"));
}
