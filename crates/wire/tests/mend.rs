//! The laws of mending: whatever comes, what goes out is legal; what is right passes as it is; what is lost can be lost without losing a text.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::generate::*;
use common::{
    NOW, Said, codes, fold, mend, parse, printed, recordings, said, streams, terminal, value,
    violations,
};
use latimer_wire::responses::{Envelope, Mend, Request, Role};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The events without what may differ between a stream and its mended self.
fn plain(events: &[String]) -> Vec<Value> {
    let strip = |event: &String| {
        let mut event = value(event);
        let object = event.as_object_mut().unwrap();
        object.remove("sequence_number");
        object.remove("obfuscation");
        event
    };
    events.iter().map(strip).collect()
}

/// Recordings that the grammar admits and that still need mending, and what of them.
const MENDED: &[(&str, &[&str])] = &[
    ("lmstudio-tool-call.1.jsonl", &["text_without_deltas"]),
    ("lmstudio-tool-call.2.jsonl", &["text_without_deltas"]),
    // Made by hand.
    ("parallel-tool-call-wrapper.1.jsonl", &["output_missing_at_end", "sequence_missing"]),
];

#[test]
fn recorded_streams_pass_as_they_are() {
    for (name, text) in recordings("responses") {
        for stream in streams(&name, &text) {
            let (events, notes) = mend(&stream);
            assert_eq!(violations(&events), vec![], "{name}");
            if violations(&stream).is_empty() {
                let known = MENDED.iter().find(|row| row.0 == name).map_or(&[][..], |row| row.1);
                assert_eq!(codes(&notes), known, "{name}: {notes:?}");
                if known.is_empty() {
                    assert_eq!(plain(&events), plain(&stream), "{name}");
                }
            }
            assert_eq!(fold(&events), terminal(&events), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_right_passes_as_it_is(response in any_response(ENDS), piece in piece()) {
        let events = unfolded(&response, piece);
        let mut response = response;
        for member in ["parallel_tool_calls", "tool_choice", "tools"] {
            response[member] = json!(true);
        }
        let events = if violations(&events).is_empty() { unfolded(&response, piece) } else { events };
        let (mended, notes) = mend(&events);
        prop_assert_eq!(codes(&notes), Vec::<&str>::new(), "{:?}", notes);
        prop_assert_eq!(plain(&mended), plain(&events));
    }

    #[test]
    fn whatever_comes_goes_out_legal(events in prop::collection::vec(stray_event(), 0..20)) {
        let (mended, _) = mend(&events);
        prop_assert_eq!(violations(&mended), vec![], "{:#?}", mended);
        prop_assert_eq!(fold(&mended), terminal(&mended));
    }
}

/// What is taken from a right stream before it is mended.
#[derive(Debug, Clone, Copy)]
struct Losses {
    numbers: bool,
    ids: bool,
    indices: bool,
    part_indices: bool,
    deltas: bool,
    created: bool,
    part_brackets: bool,
    text_ends: bool,
    added: bool,
    done: bool,
    output: bool,
}

impl Losses {
    fn apply(self, events: &[String]) -> Vec<String> {
        changed(events, |event| {
            let parsed = event.to_string();
            let role = parse(&parsed).role();
            let object = event.as_object_mut().unwrap();
            let mut remove = |lost: bool, names: &[&str]| {
                object.retain(|key, _| !lost || !names.contains(&&**key));
            };
            remove(self.numbers, &["sequence_number"]);
            remove(self.ids, &["item_id"]);
            remove(self.indices, &["output_index"]);
            remove(self.part_indices, &["content_index", "summary_index"]);
            if let Some(item) = object.get_mut("item").and_then(Value::as_object_mut) {
                item.retain(|key, _| !self.ids || key != "id");
            }
            if self.output
                && let Some(output) = event.pointer_mut("/response/output")
            {
                *output = json!([]);
            }
            !match role {
                Role::Created | Role::InProgress => self.created,
                Role::Delta(_) => self.deltas,
                Role::Done(_) => self.text_ends,
                Role::PartAdded | Role::PartDone => self.part_brackets,
                Role::ItemAdded => self.added,
                Role::ItemDone => self.done,
                _ => false,
            }
        })
    }
}

/// Any losses that leave each text in at least one place, and each item one way to be told apart.
fn losses() -> impl Strategy<Value = Losses> {
    prop::collection::vec(any::<bool>(), 11).prop_map(|lost| {
        let [numbers, ids, indices, part_indices, deltas, created, part_brackets] =
            [0, 1, 2, 3, 4, 5, 6].map(|at| lost[at]);
        let [text_ends, added, done, output] = [7, 8, 9, 10].map(|at| lost[at]);
        let indices = indices && !ids && !added;
        let part_indices = part_indices && !part_brackets;
        // Names of calls are nowhere but in the item itself.
        let output = output && !done && !(ids && indices);
        Losses {
            numbers,
            ids,
            indices,
            part_indices,
            deltas,
            created,
            part_brackets,
            text_ends,
            added,
            done,
            output,
        }
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_lost_does_not_cost_a_text(
        response in chat_response(&["completed", "incomplete"]), piece in piece(), losses in losses(),
    ) {
        let whole = unfolded(&response, piece);
        let (events, notes) = mend(losses.apply(&whole));
        prop_assert_eq!(violations(&events), vec![], "{:#?}", events);
        let end = terminal(&events);
        prop_assert_eq!(Said::of(&end), Said::of(&response), "{:?} {:#?}", notes, events);
        prop_assert_eq!(&end["status"], &response["status"]);
        prop_assert_eq!(&fold(&events), &end);
        prop_assert_eq!(said(&events), said(&whole), "{:?}", losses);
    }

    #[test]
    fn the_terminal_snapshot_makes_up_for_any_loss(
        response in chat_response(&["completed", "incomplete"]), piece in piece(),
        masks in prop::collection::vec((0..4_u8, any::<[bool; 3]>()), 1..60),
        drops in any::<bool>(),
    ) {
        let whole = unfolded(&response, piece);
        let mut masks = masks.into_iter().cycle();
        let lost: Vec<String> = whole.iter().filter_map(|event| {
            let (drop, [number, part, id]) = masks.next().unwrap();
            let role = parse(event).role();
            let mut event = value(event);
            let object = event.as_object_mut().unwrap();
            object.retain(|key, _| !match &**key {
                "sequence_number" => number,
                // Where events are missing too, nobody can tell which part is meant.
                "content_index" | "summary_index" => part && !drops,
                "item_id" => id,
                _ => false,
            });
            (drop > 0 || !drops || matches!(role, Role::Terminal(_))).then(|| event.to_string())
        }).collect();
        let (events, notes) = mend(&lost);
        prop_assert_eq!(violations(&events), vec![], "{:#?}", events);
        let end = terminal(&events);
        let items = |response: &Value| {
            let mut output = response["output"].clone();
            for item in output.as_array_mut().unwrap() {
                // Where the first event of an item has no id, we have given it one; where nothing
                // came of a part or an item, its place is after those of which something came.
                item["id"] = json!("i");
                for list in ["content", "summary"] {
                    let parts = item[list].as_array_mut();
                    parts.into_iter().for_each(|parts| parts.sort_by_key(Value::to_string));
                }
            }
            let mut items: Vec<_> = output.as_array().unwrap().iter().map(Value::to_string).collect();
            items.sort();
            items
        };
        prop_assert_eq!(items(&end), items(&response), "{:?} {:#?} {:#?}", notes, lost, events);
        prop_assert_eq!(&fold(&events), &end);
    }

    #[test]
    fn a_stream_that_breaks_off_has_failed(
        response in any_response(ENDS), piece in piece(), keep in any::<prop::sample::Index>(),
        losses in losses(),
    ) {
        let whole = losses.apply(&unfolded(&response, piece));
        let (events, _) = mend(&whole[..keep.index(whole.len())]);
        prop_assert_eq!(violations(&events), vec![]);
        prop_assert_eq!(&terminal(&events)["error"]["code"], "stream_incomplete");
        prop_assert_eq!(&terminal(&events)["status"], "failed");
    }
}

#[test]
fn padding_is_left_out_and_counted() {
    let mut mend = Mend::new(Envelope::new(&Request::default(), "resp_1", NOW), "x");
    let delta =
        r#"{"type":"response.output_text.delta","output_index":0,"delta":"a","obfuscation":"xyz"}"#;
    let events = printed(|sink| mend.push(delta, None, sink));
    assert!(!events.concat().contains("xyz"));
    assert_eq!(mend.padding_bytes(), 3);
}
