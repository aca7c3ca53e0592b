//! What is not the same after a way through Chat Completions and back, for every fixture of the spoke:
//! the table in `docs/losses.md`. `UPDATE_FIXTURES=1` writes it; otherwise it has to be true.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{NOW, expect, frames, lift_from, parse, printed, terminal, value};
use latimer_wire::chat::{Backend, LiftOptions, Lower, Profile, lift_request, lower_request};
use latimer_wire::note::Notes;
use latimer_wire::responses::Request;
use serde_json::{Value, json};

/// The facts of an object: a path to each leaf, with list items named by their type, and its value.
fn facts(object: &Value, path: &str, facts: &mut Vec<(String, String)>) {
    match object {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                let separator = if path.is_empty() { "" } else { "." };
                self::facts(value, &format!("{path}{separator}{key}"), facts);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                let kind = element["type"].as_str().unwrap_or_default();
                let role =
                    element["role"].as_str().map(|role| format!(" {role}")).unwrap_or_default();
                self::facts(element, &format!("{path}[{kind}{role}]"), facts);
            }
        }
        leaf => facts.push((path.to_owned(), leaf.to_string())),
    }
}

/// The long form of what may be said shorter: a text as an item, a content as a list of parts.
fn long(mut request: Value) -> Value {
    if request["input"].is_string() {
        request["input"] = json!([{"type":"message","role":"user","content":request["input"]}]);
    }
    for item in request["input"].as_array_mut().into_iter().flatten() {
        let object = item.as_object_mut().unwrap();
        if object.contains_key("role") {
            object.entry("type").or_insert(json!("message"));
        }
        let kind = if object.get("role") == Some(&json!("assistant")) {
            "output_text"
        } else {
            "input_text"
        };
        for member in ["content", "output"] {
            let text = object.get(member).filter(|text| text.is_string()).cloned();
            if let Some(text) = text {
                object.insert(member.to_owned(), json!([{"type":kind,"text":text}]));
            }
        }
    }
    request
}

/// By path: an example of what was lost there, and of what came instead.
type Table = BTreeMap<String, [Option<String>; 2]>;

fn compare(before: &Value, after: &Value, table: &mut Table) {
    let (mut lost, mut new) = (Vec::new(), Vec::new());
    facts(before, "", &mut lost);
    facts(after, "", &mut new);
    lost.retain(|fact| match new.iter().position(|other| other == fact) {
        Some(at) => {
            new.remove(at);
            false
        }
        None => true,
    });
    for (side, facts) in [lost, new].into_iter().enumerate() {
        for (path, example) in facts {
            table.entry(path).or_default()[side].get_or_insert(example);
        }
    }
}

fn cell(example: Option<&String>) -> String {
    let Some(example) = example else { return "–".to_owned() };
    let short: String = example.chars().take(48).collect();
    let more = if short == *example { "" } else { "…" };
    format!("`{}{more}`", short.replace('|', "\\|").replace('`', "'"))
}

fn print(table: &Table) -> String {
    let row = |(path, [lost, new]): (&String, &[Option<String>; 2])| {
        format!("| `{path}` | {} | {} |\n", cell(lost.as_ref()), cell(new.as_ref()))
    };
    "| where | before | after |\n|---|---|---|\n".to_owned()
        + &table.iter().map(row).collect::<String>()
}

#[test]
fn the_table_of_losses_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = fs::read_dir(root.join("fixtures/chat"))
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".request.json").map(str::to_owned)
        })
        .collect();
    names.sort();
    let (mut requests, mut answers) = (Table::new(), Table::new());
    for name in &names {
        let read = |what: &str| {
            fs::read_to_string(root.join("fixtures/chat").join(format!("{name}.{what}"))).unwrap()
        };
        let request = read("request.json");
        compare(&long(value(&request)), &long(request_and_back(&request)), &mut requests);
        let response = value(&read("response.json"))["response"].take();
        let events = read("events.jsonl");
        compare(&response, &answer_and_back(&request, &events), &mut answers);
    }
    let page = format!(
        "# What Chat Completions does not carry\n\n\
         Written by `tests/losses.rs` from all {} fixtures of the Chat spoke, each sent from Responses \
         to Chat Completions (profile `openai`) and back. One row for each place where something was \
         not the same; the examples are the first that were met. What a row shows on one side alone \
         was lost, or is said where nothing was said before.\n\n\
         ## Requests\n\n{}\n## Answers\n\n{}",
        names.len(),
        print(&requests),
        print(&answers),
    );
    fs::create_dir_all(root.join("docs")).unwrap();
    expect(&root.join("docs/losses.md"), &page);
}

fn request_and_back(request: &str) -> Value {
    let mut notes = Notes::default();
    let profile = Profile::named("openai").unwrap();
    let parsed = Request::parse(request).unwrap();
    let backend = Backend { model: None, profile: &profile };
    let lowered = lower_request(&parsed, &backend, &mut notes).unwrap();
    let options = LiftOptions {
        instructions: parsed.given("instructions").is_some(),
        ..LiftOptions::default()
    };
    value(&lift_request(&lowered.body, &options, &mut notes).unwrap().body)
}

fn answer_and_back(request: &str, events: &str) -> Value {
    let mut lower = Lower::new("chatcmpl-1", "m", NOW, true);
    let mut stream = String::new();
    events.lines().for_each(|event| lower.push(&parse(event), &mut stream));
    let mut lift = lift_from(request, &Profile::named("openai").unwrap());
    let events = printed(|sink| {
        frames([stream.as_bytes()]).iter().for_each(|frame| lift.push(frame, NOW, sink));
        lift.end(NOW, sink);
    });
    terminal(&events)
}
