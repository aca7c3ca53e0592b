//! The Responses API over a WebSocket: requests that continue one another, and messages as they are
//! addressed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::value;
use latimer_wire::responses::socket::{Address, ClientEvent, End, Held};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a turn leaves, and the body it was asked with.
fn turn(held: Option<&Held>, message: &Value, id: &str, output: &Value) -> (Option<Held>, Value) {
    let message = message.to_string();
    let posted = ClientEvent::parse(&message).unwrap().request(held);
    let body = value(&posted.body);
    let response = json!({"id": id, "store": false, "output": output});
    let data = json!({"type": "response.completed", "response": response}).to_string();
    (posted.hold(&End::of(&data, None).unwrap()), body)
}

#[test]
fn a_message_becomes_a_request() {
    // the message, and the body
    let cases = [
        (r#"{"type":"response.create"}"#, r#"{"stream":true}"#),
        (r#"{"type":"response.create","generate":false}"#, r#"{"input":[],"stream":true}"#),
        (
            r#"{"z":1.50,"type":"response.create","stream_id":"a","generate":true,"stream":false,"input":"\u0041"}"#,
            r#"{"z":1.50,"input":"\u0041","stream":true}"#,
        ),
        (
            r#"{"type":"response.create","previous_response_id":"resp_9","input":[ {"id":"x"} ]}"#,
            r#"{"previous_response_id":"resp_9","input":[ {"id":"x"} ],"stream":true}"#,
        ),
    ];
    for (message, body) in cases {
        assert_eq!(ClientEvent::parse(message).unwrap().request(None).body, body);
    }
}

/// The first response is stored by somebody else; those after it only here.
#[test]
fn what_is_held_builds_on_what_is_stored() {
    let create = |id: &str, input: Value| json!({"type": "response.create", "previous_response_id": id, "input": input});
    let said = json!([{"type": "message", "id": "m"}]);
    let (held, body) = turn(None, &create("resp_1", "Hi".into()), "resp_2", &said);
    assert_eq!(body["input"], "Hi");
    let (held, body) = turn(held.as_ref(), &create("resp_2", json!([])), "resp_3", &json!([]));
    let items = json!([{"type": "message", "role": "user", "content": "Hi"}, said[0]]);
    assert_eq!(body, json!({"previous_response_id": "resp_1", "input": items, "stream": true}));
    let held = held.unwrap();
    assert_eq!(held.id, "resp_3");
    assert!(held.bytes() > 60);
    let in_conversation =
        json!({"type": "response.create", "conversation": "conv_1", "input": "x"});
    assert_eq!(turn(None, &in_conversation, "resp_4", &said).0, None);
}

#[test]
fn messages_carry_what_a_stream_does_not() {
    let lane = Address { stream_id: Some("a\"b".into()), continued: None };
    let continuing = Address { stream_id: None, continued: Some("resp_0".into()) };
    // the address, the event, its frame's name, the message
    let cases: &[(&Address, &str, Option<&str>, &str)] = &[
        (&Address::default(), r#"{"type":"x","n":1.0}"#, None, r#"{"type":"x","n":1.0}"#),
        (&Address::default(), r#"{"n":1.0}"#, Some("x"), r#"{"type":"x","n":1.0}"#),
        (&Address::default(), "no JSON", None, "no JSON"),
        (&lane, r#"{"type":"x"}"#, None, r#"{"type":"x","stream_id":"a\"b"}"#),
        (&lane, "{ }", None, "{}"),
        (
            &continuing,
            r#"{"type":"response.created","response":{"id":"resp_1","previous_response_id":null}}"#,
            None,
            r#"{"type":"response.created","response":{"id":"resp_1","previous_response_id":"resp_0"}}"#,
        ),
        (
            &continuing,
            r#"{"type":"response.output_text.delta"}"#,
            None,
            r#"{"type":"response.output_text.delta"}"#,
        ),
        (
            &lane,
            r#"{"type":"error","code":"c","message":"m","param":null,"sequence_number":3}"#,
            None,
            r#"{"type":"error","sequence_number":3,"error":{"type":"server_error","code":"c","message":"m","param":null},"stream_id":"a\"b"}"#,
        ),
        (
            &Address::default(),
            r#"{"error":{"type":"t","message":"m","resets_at":7}}"#,
            Some("error"),
            r#"{"type":"error","error":{"type":"t","code":null,"message":"m","param":null,"resets_at":7}}"#,
        ),
    ];
    for (address, data, name, message) in cases {
        assert_eq!(address.event(data, *name), *message);
    }
    let told = lane.error(429, r#"{"error":{"message":"m","type":"t"}}"#, &[("retry-after", "7")]);
    let error = json!({"type": "t", "code": null, "message": "m", "param": null, "headers": {"retry-after": "7"}});
    assert_eq!(
        value(&told),
        json!({"type": "error", "status": 429, "error": error, "stream_id": "a\"b"})
    );
}

proptest! {
    /// Turn after turn, the model is asked with everything that was said before.
    #[test]
    fn nothing_is_lost_from_turn_to_turn(
        turns in prop::collection::vec((prop::collection::vec(".{0,9}", 0..3), prop::collection::vec(".{0,9}", 0..3)), 1..6),
    ) {
        let items = |texts: &[String]| texts.iter().map(|text| json!({"type": "message", "t": text})).collect::<Vec<_>>();
        let (mut held, mut said): (Option<Held>, Vec<Value>) = (None, Vec::new());
        for (number, (input, output)) in turns.iter().enumerate() {
            let mut message = json!({"type": "response.create", "input": items(input)});
            if let Some(held) = &held {
                message["previous_response_id"] = json!(held.id);
            }
            let (left, body) = turn(held.as_ref(), &message, &format!("resp_{number}"), &json!(items(output)));
            said.extend(items(input));
            prop_assert_eq!(&body["input"], &json!(said));
            prop_assert_eq!(&body["previous_response_id"], &Value::Null);
            said.extend(items(output));
            held = left;
        }
    }
}
