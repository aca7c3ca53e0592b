//! Laws of the Chat spoke: what streams is what is whole, however it is cut; every tool is found
//! again under its name; every history becomes one that a backend takes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;

use common::{NOW, Said, lift_from, printed, terminal, value, violations};
use latimer_wire::chat::{Backend, PROFILES, Profile, lower_request};
use latimer_wire::note::Notes;
use latimer_wire::responses::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

/// Text with what JSON, tags and patches are made of.
fn text() -> impl Strategy<Value = String> {
    let words = vec![
        "\"",
        "\\",
        "\\u",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{1f600}",
        "é",
        "{",
        "}",
        "<",
        ">",
        "</think",
        "think>",
        "<think>",
        " ",
        "a",
        "ud83d",
        "input\":\"",
    ];
    let words = prop::collection::vec(prop::sample::select(words), 0..10);
    prop_oneof![1 => any::<String>(), 3 => words.prop_map(|words| words.concat())]
}

/// The places of some cuts in a text of any length.
fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

/// `units` cut into pieces, each as a literal with every character escaped.
fn escaped_pieces(text: &str, cuts: &[prop::sample::Index]) -> Vec<String> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(units.len() + 1)).collect();
    places.extend([0, units.len()]);
    places.sort_unstable();
    let literal = |units: &[u16]| {
        let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{escapes}\"")
    };
    places.windows(2).map(|pair| literal(&units[pair[0]..pair[1]])).collect()
}

/// The pieces with their brackets written one way, everything else as it usually is.
fn plain_pieces(text: &str, cuts: &[prop::sample::Index], brackets: [&str; 2]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(characters.len() + 1)).collect();
    places.extend([0, characters.len()]);
    places.sort_unstable();
    let literal = |characters: &[char]| {
        let text = characters.iter().collect::<String>();
        json!(text).to_string().replace('<', brackets[0]).replace('>', brackets[1])
    };
    places.windows(2).map(|pair| literal(&characters[pair[0]..pair[1]])).collect()
}

/// The events of an answer whose chunks hold these deltas.
fn answer(
    request: &Value,
    profile: &Profile,
    deltas: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let mut lift = lift_from(&request.to_string(), profile);
    printed(|sink| {
        for delta in deltas {
            lift.push(&format!(r#"{{"choices":[{{"delta":{{{delta}}}}}]}}"#), NOW, sink);
        }
        lift.push(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, NOW, sink);
        lift.end(NOW, sink);
    })
}

fn messages(input: &[Value], profile: &Profile) -> Vec<Value> {
    let body = json!({ "input": input }).to_string();
    let request = Request::parse(&body).unwrap();
    let backend = Backend { model: None, profile };
    let lowered = lower_request(&request, &backend, &mut Notes::default()).unwrap();
    value(&lowered.body)["messages"].as_array().unwrap().clone()
}

/// An id as clients and other services make them, few enough to come twice.
fn call_id() -> impl Strategy<Value = String> {
    let long = format!("call_{}", "x".repeat(80));
    let words = ["", "a", "call_1", "a|b", "é", "a\u{0}1", "123456789"].map(str::to_owned);
    prop::sample::select(
        words.into_iter().chain([long.clone(), format!("{long}y")]).collect::<Vec<_>>(),
    )
}

fn item() -> impl Strategy<Value = Value> {
    let image = json!({"type":"input_image","image_url":"data:x"});
    (0..12, call_id(), text()).prop_map(move |(kind, id, text)| match kind {
        0 | 1 => json!({"type":"function_call","call_id":id,"name":text + "f","arguments":"{}"}),
        2 => json!({"type":"custom_tool_call","call_id":id,"name":"c","input":text}),
        3 => json!({"type":"tool_search_call","call_id":id,"arguments":{"q":text}}),
        4 | 5 => json!({"type":"function_call_output","call_id":id,"output":text}),
        6 => json!({"type":"custom_tool_call_output","call_id":id,
            "output":[{"type":"input_text","text":text}, image]}),
        7 => json!({"type":"tool_search_output","call_id":id,"tools":[]}),
        8 => json!({"role":"user","content":text}),
        9 => json!({"role":"assistant","content":text}),
        10 => json!({"role":"developer","content":text}),
        _ => json!({"type":"warp_call","id":id}),
    })
}

proptest! {
    #![proptest_config(config())]

    /// Chunks that differ in their text alone are read by what they have in common.
    #[test]
    fn a_chunk_is_read_the_same_whatever_came_before_it(
        texts in prop::collection::vec(text(), 1..8),
        rest in prop::sample::select(vec![
            "", r#","logprobs":null"#, r#","finish_reason":"stop""#, r#","message":{"content":"x"}"#,
        ]),
    ) {
        let events = |varied: bool| {
            let mut lift = lift_from(r#"{"input":"Hi","stream":true}"#, &Profile::default());
            printed(|sink| {
                for (number, text) in texts.iter().enumerate() {
                    let number = if varied { number } else { 0 };
                    let text = json!(text);
                    let delta = format!(r#"{{"index":0,"delta":{{"content":{text}}}{rest}}}"#);
                    lift.push(&format!(r#"{{"n":{number},"choices":[{delta}]}}"#), NOW, sink);
                }
                lift.push("[DONE]", NOW, sink);
            })
        };
        prop_assert_eq!(events(false), events(true));
    }

    #[test]
    fn a_freeform_text_streams_as_it_is(text in text(), escaped in any::<bool>(), cuts in cuts()) {
        let request = json!({"input":"x","stream":true,"tools":[{"type":"custom","name":"c"}]});
        let mut arguments = json!({ "input": text }).to_string();
        if escaped {
            let inner: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            arguments = format!(" {{ \"input\" :\n\"{inner}\" }} ");
        }
        let call = |piece: &String| {
            format!(r#""tool_calls":[{{"index":0,"id":"a","function":{{"name":"c","arguments":{piece}}}}}]"#)
        };
        let pieces = escaped_pieces(&arguments, &cuts);
        let events = answer(&request, &Profile::default(), pieces.iter().map(call));
        prop_assert_eq!(violations(&events), vec![]);
        let streamed: String = events.iter().map(|event| value(event))
            .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
            .map(|event| event["delta"].as_str().unwrap().to_owned()).collect();
        prop_assert_eq!(&streamed, &text);
        prop_assert_eq!(&terminal(&events)["output"][0]["input"], &text);
        // And in the next turn it is inside the arguments again.
        let next = messages(&[terminal(&events)["output"][0].clone()], &Profile::default());
        let arguments = next[0]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        prop_assert_eq!(&value(arguments)["input"], &text);
    }

    #[test]
    fn arguments_of_any_shape_become_legal_events(
        begin in prop::sample::select(vec!["", "{\"input\":\"", "{\"patch\":\"", "\""]),
        pieces in prop::collection::vec(text(), 0..6),
    ) {
        let request = json!({"input":"x","tools":[{"type":"custom","name":"c"}]});
        let pieces = [begin.to_owned()].into_iter().chain(pieces);
        let call = |piece: String| {
            let piece = json!(piece);
            format!(r#""tool_calls":[{{"index":0,"id":"a","function":{{"name":"c","arguments":{piece}}}}}]"#)
        };
        let events = answer(&request, &Profile::default(), pieces.map(call));
        prop_assert_eq!(violations(&events), vec![]);
        prop_assert_eq!(common::fold(&events), terminal(&events));
    }

    #[test]
    fn a_delta_does_not_wait_for_the_next_chunk(pieces in prop::collection::vec("[a-z ]{1,5}", 1..8)) {
        let profile = PROFILES.iter().find(|profile| !profile.think_tags).unwrap();
        let mut lift = lift_from(r#"{"input":"x","tools":[{"type":"custom","name":"c"}]}"#, profile);
        let begin = r#""tool_calls":[{"index":0,"id":"a","function":{"name":"c","arguments":"{\"input\":\""}}]"#;
        let pieces: Vec<_> = pieces.iter().map(|piece| json!(piece).to_string()).collect();
        let texts = pieces.iter().map(|piece| (format!("\"content\":{piece}"), piece));
        let call = |piece: &_| {
            format!(r#""tool_calls":[{{"index":0,"function":{{"arguments":{piece}}}}}]"#)
        };
        let inputs = pieces.iter().map(|piece| (call(piece), piece));
        let silence = "\"\"".to_owned();
        for (delta, piece) in texts.chain([(begin.to_owned(), &silence)]).chain(inputs) {
            let chunk = format!(r#"{{"choices":[{{"delta":{{{delta}}}}}]}}"#);
            let events = printed(|sink| lift.push(&chunk, NOW, sink));
            let last = value(events.last().unwrap());
            prop_assert!(*piece == silence || last["delta"] == value(piece), "{last}");
        }
    }

    #[test]
    fn think_tags_are_split_under_every_cut(
        thought in text(), said in text(), cuts in cuts(),
        brackets in prop::sample::select(vec![["<", ">"], ["\\u003c", "\\u003e"], ["\\u003C", "\\u003E"]]),
    ) {
        let thought = thought.replace("</think>", "");
        let content = format!("\n <think>{thought}</think>\n\n{said}");
        let pieces = plain_pieces(&content, &cuts, brackets);
        let deltas = pieces.iter().map(|piece| format!("\"content\":{piece}"));
        let events = answer(&json!({"input":"x"}), &Profile::default(), deltas);
        let found = Said::of(&terminal(&events));
        prop_assert_eq!(found.reasoning, thought);
        prop_assert_eq!(&found.text, said.trim_start_matches([' ', '\n', '\r', '\t']));
        let whole = answer(&json!({"input":"x"}), PROFILES.iter().find(|p| !p.think_tags).unwrap(),
            pieces.iter().map(|piece| format!("\"content\":{piece}")));
        prop_assert_eq!(Said::of(&terminal(&whole)).text, content, "left where it is to be left");
    }

    #[test]
    fn every_tool_is_found_under_its_own_name(
        tools in prop::collection::vec(("[ab_.]{0,5}|[a-z]{40}", "[ab_.]{1,5}|[a-z]{30}"), 1..8),
    ) {
        let tool = |name: &str| json!({"type":"function","name":name});
        let definitions: Vec<_> = tools.iter().map(|(namespace, name)| match &**namespace {
            "" => tool(name),
            _ => json!({"type":"namespace","name":namespace,"tools":[tool(name)]}),
        }).collect();
        let request = json!({"input":"x","tools":definitions});
        let body = request.to_string();
        let parsed = Request::parse(&body).unwrap();
        let backend = Backend { model: None, profile: &Profile::default() };
        let lowered = lower_request(&parsed, &backend, &mut Notes::default()).unwrap();
        let sent = value(&lowered.body)["tools"].take();
        let mut wires = Vec::new();
        for tool in sent.as_array().unwrap() {
            wires.push(tool["function"]["name"].as_str().unwrap().to_owned());
        }
        prop_assert!(wires.iter().all(|wire| is_wire_name(wire)), "{wires:?}");
        let mut seen = BTreeSet::new();
        let distinct: Vec<_> = tools.iter().filter(|tool| seen.insert(*tool)).collect();
        prop_assert_eq!(wires.iter().collect::<BTreeSet<_>>().len(), distinct.len());
        prop_assert_eq!(wires.len(), distinct.len());
        let deltas = wires.iter().enumerate().map(|(index, wire)| format!(
            r#""tool_calls":[{{"index":{index},"id":"c{index}","function":{{"name":"{wire}","arguments":"{{}}"}}}}]"#
        ));
        let output = terminal(&answer(&request, &Profile::default(), deltas))["output"].take();
        for (call, (namespace, name)) in output.as_array().unwrap().iter().zip(distinct) {
            prop_assert_eq!(call["name"].as_str(), Some(&**name));
            prop_assert_eq!(call["namespace"].as_str().unwrap_or_default(), namespace);
        }
    }

    #[test]
    fn every_history_becomes_one_that_backends_take(
        input in prop::collection::vec(item(), 0..14), profile in prop::sample::select(PROFILES),
    ) {
        let messages = messages(&input, &profile);
        let mut waiting: Vec<String> = Vec::new();
        for message in &messages {
            if message["role"] == "tool" {
                let id = message["tool_call_id"].as_str().unwrap();
                prop_assert_eq!(waiting.iter().position(|call| call == id), Some(0));
                waiting.remove(0);
                continue;
            }
            prop_assert_eq!(&waiting, &Vec::<String>::new(), "calls without an output");
            for call in message["tool_calls"].as_array().unwrap_or(&Vec::new()) {
                let id = call["id"].as_str().unwrap().to_owned();
                prop_assert!(is_wire_name(&id) && !waiting.contains(&id), "{id}");
                let kind = call["type"].as_str().unwrap();
                prop_assert!(is_wire_name(call[kind]["name"].as_str().unwrap()));
                waiting.push(id);
            }
        }
        prop_assert_eq!(waiting, Vec::<String>::new());
        let is_call = |item: &&Value| item["type"].as_str().is_some_and(|kind| kind.ends_with("_call") && kind != "warp_call");
        let calls: usize = messages.iter().filter_map(|message| message["tool_calls"].as_array()).map(Vec::len).sum();
        prop_assert_eq!(calls, input.iter().filter(is_call).count());
    }
}

fn is_wire_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}
