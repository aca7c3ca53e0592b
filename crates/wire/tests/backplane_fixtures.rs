//! The mapping tables of the backplane, row by row: each row of `fixtures/backplane/tables.json` names a
//! fixture and the places in it that show the row. What a fixture becomes stands beside it, and the
//! tables with those places are `docs/backplane.md`; `UPDATE_FIXTURES=1` writes both.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use common::{NOW, expect, pretty, printed, terminal, value, violations};
use latimer_wire::backplane::codex::{CodexRequestBuilder, CodexResponse, CodexStreamEvent};
use latimer_wire::backplane::{
    AgentEvent, Lift, Lower, OrderHead, Receipt, RunHead, Time, WorkOrder, lift_request,
    lower_request,
};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Event, Request, Response, unfold};
use serde_json::{Map, Value, json};

const ID: &str = "0191d6b6-0000-7000-8000-000000000002";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/backplane")
}

/// What a kind of fixture becomes, part by part.
type Becomes = fn(&str) -> Value;

/// How a fixture's file ends, and what it becomes.
const KINDS: &[(&str, Becomes)] = &[
    ("request.json", request),
    ("builder.json", builder),
    ("agent.jsonl", agent),
    ("response.json", response),
    ("seed.json", seed),
];

/// A request as a work order, and the request that comes back.
fn request(text: &str) -> Value {
    let hub = Request::parse(text).unwrap();
    let order = lower_request(&hub, OrderHead { id: ID.to_owned(), ..OrderHead::default() });
    let order = WorkOrder::parse(&order.to_json()).unwrap();
    let back = value(&lift_request(&order, &mut Notes::default()).unwrap());
    assert_eq!(back, value(text), "the way back");
    json!({"order": value(&order.to_json())})
}

/// A request that is built without a word.
fn builder(_: &str) -> Value {
    json!({"order": value(&CodexRequestBuilder::new().build().to_work_order(ID).unwrap().to_json())})
}

/// What an agent says as hub events, and its receipt as a response under the seed's names.
fn agent(text: &str) -> Value {
    let asked = r#"{"model":"codex-mini-latest","input":"Hi","tools":[
        {"type":"function","name":"read_file"},{"type":"function","name":"write_file"}]}"#;
    let asked = Request::parse(asked).unwrap();
    let receipt = Receipt::parse(text.lines().last().unwrap()).unwrap();
    let id = format!("resp_{}", receipt.meta.run_id);
    let mut lift = Lift::new(Envelope::new(&asked, &id, NOW), "1")
        .with_tools(latimer_wire::backplane::Offered::of(&asked));
    let events = printed(|sink| {
        text.lines().for_each(|line| lift.push(line, NOW, sink));
        lift.end(NOW, sink);
    });
    assert_eq!(violations(&events), vec![]);
    let mut by_kind = Map::new();
    for event in events.iter().map(|event| value(event)) {
        let kind = event["type"].as_str().unwrap().to_owned();
        by_kind.entry(kind).or_insert(json!([])).as_array_mut().unwrap().push(event);
    }
    let mut notes = String::new();
    lift.notes().print(&mut notes);
    let codex = CodexResponse::of_receipt(&receipt, "codex-mini-latest");
    json!({
        "codex": value(&codex.to_json()), "end": terminal(&events), "events": by_kind,
        "notes": value(&notes),
    })
}

/// A response as what an agent says, and the receipt.
fn response(text: &str) -> Value {
    let response = Response::parse(text).unwrap();
    let head = RunHead { run_id: ID.to_owned(), started_at_ms: NOW * 1000, ..RunHead::default() };
    let (mut lower, mut agent) = (Lower::new(head), Vec::new());
    unfold(&response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
        let mut hear = |event: &AgentEvent| agent.push(value(&event.to_json()));
        lower.push(event, NOW * 1000, &mut hear);
    });
    json!({"agent": agent, "receipt": value(&lower.receipt(NOW * 1000).to_json())})
}

/// An event in the seed's form as what an agent says.
fn seed(text: &str) -> Value {
    let event = CodexStreamEvent::parse(text).unwrap();
    assert_eq!(value(&event.to_json()), with_nulls(value(text)), "the way back");
    let kind = AgentEvent::new(Time::of_unix_ms(NOW * 1000), event.event_kind().unwrap());
    json!({"kind": value(&kind.to_json())})
}

/// What the types write where nothing was said.
fn with_nulls(mut event: Value) -> Value {
    if let Some(response) = event.get_mut("response").and_then(Value::as_object_mut) {
        response.entry("usage").or_insert(Value::Null);
    }
    event
}

/// A fixture: the file as it is, and what it becomes.
fn fixture(name: &str) -> (String, Value) {
    for (end, becomes) in KINDS {
        let Ok(text) = fs::read_to_string(folder().join(format!("{name}.{end}"))) else { continue };
        let (what, is_lines) =
            end.split_once('.').map(|(what, end)| (what, end == "jsonl")).unwrap();
        let mut parts = becomes(&text);
        let golden = folder().join(format!("{name}.becomes.json"));
        expect(&golden, &pretty(&parts));
        parts[what] = match is_lines {
            true => text.lines().map(value).collect(),
            false => value(&text),
        };
        return (format!("{name}.{end}"), parts);
    }
    panic!("no fixture {name}");
}

/// The values that show a row: part, place, value.
fn shown(parts: &Value, shows: &Value) -> String {
    let one = |place: &Value| {
        let (part, pointer) = (place[0].as_str().unwrap(), place[1].as_str().unwrap());
        let found = parts[part].pointer(pointer);
        let found = found.unwrap_or_else(|| panic!("nothing at {part}{pointer}: {}", parts[part]));
        format!(
            "{part} `{}` = `{}`",
            pointer,
            found.to_string().replace('|', "\\|").replace('`', "'")
        )
    };
    shows.as_array().unwrap().iter().map(one).collect::<Vec<_>>().join("<br>")
}

#[test]
fn every_row_is_a_fixture() {
    let tables = value(&fs::read_to_string(folder().join("tables.json")).unwrap());
    let mut page = "# The backplane, row by row\n\n\
        Written by `tests/backplane_fixtures.rs`. Each row is a fixture in `fixtures/backplane`, and the \
        last column shows where in it, or in what it becomes (`<fixture>.becomes.json`), the row can be \
        seen.\n"
        .to_owned();
    let mut used = BTreeSet::new();
    for table in tables.as_array().unwrap() {
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
        };
        let columns = [texts(&table["columns"]), vec!["Fixture".into(), "Shows".into()]].concat();
        page +=
            &format!("\n## {}\n\n| {} |\n", table["title"].as_str().unwrap(), columns.join(" | "));
        page += &format!("|{}\n", "---|".repeat(columns.len()));
        for row in table["rows"].as_array().unwrap() {
            let (file, parts) = fixture(row["fixture"].as_str().unwrap());
            let shown = shown(&parts, &row["shows"]);
            let cells = [texts(&row["cells"]), vec![format!("`{file}`"), shown]].concat();
            assert_eq!(cells.len(), columns.len(), "{file}");
            page += &format!("| {} |\n", cells.join(" | "));
            assert!(used.insert(file.clone()), "{file} is named twice");
        }
    }
    expect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/backplane.md"), &page);
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let beside = name == "tables.json" || name.ends_with(".becomes.json");
        assert!(beside || used.contains(&name), "no row names {name}");
    }
}
