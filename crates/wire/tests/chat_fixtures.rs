//! The cases of `fixtures/chat`: a hub request lowered for the backend, and the backend's stream
//! lifted, however its bytes are cut; or its whole answer, where `<case>.upstream.json` holds one.
//! A new case is a request and an answer; `UPDATE_FIXTURES=1` writes what they become, to be read
//! before it is committed. Cases are named after the thread in which users reported them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{NOW, fold, frames, lift_from, printed, terminal, value, violations};
use latimer_wire::chat::{Backend, Profile, lower_request};
use latimer_wire::note::Notes;
use latimer_wire::responses::Request;
use serde_json::Value;

/// One case; its files are `<name>.<what>` in the folder.
struct Case {
    folder: PathBuf,
    name: String,
}

impl Case {
    fn read(&self, what: &str) -> String {
        let path = self.folder.join(format!("{}.{what}", self.name));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn has(&self, what: &str) -> bool {
        self.folder.join(format!("{}.{what}", self.name)).exists()
    }

    /// The backend's profile: `<case>.profile`, else the careful one.
    fn profile(&self) -> Profile {
        let name = fs::read_to_string(self.folder.join(format!("{}.profile", self.name)));
        name.map_or(Profile::default(), |name| Profile::named(name.trim()).unwrap())
    }

    /// Compares with the file, or rewrites it.
    fn expect(&self, what: &str, found: &str) {
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(self.folder.join(format!("{}.{what}", self.name)), found).unwrap();
        }
        assert_eq!(found, self.read(what), "{}.{what}", self.name);
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chat");
    let names = fs::read_dir(&folder).unwrap().filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".request.json").map(str::to_owned)
    });
    let mut cases: Vec<_> = names.map(|name| Case { folder: folder.clone(), name }).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!cases.is_empty());
    cases
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// The notes beside the result, so that a loss shows in review.
fn with_notes(notes: &Notes, name: &str, result: &str) -> String {
    let mut list = String::new();
    notes.print(&mut list);
    pretty(&Value::from_iter([(name, value(result)), ("notes", value(&list))]))
}

#[test]
fn requests_are_lowered() {
    for case in cases() {
        let request = case.read("request.json");
        let mut notes = Notes::default();
        let profile = case.profile();
        let backend = Backend { model: None, profile: &profile };
        let request = Request::parse(&request).unwrap();
        let lowered = lower_request(&request, &backend, &mut notes).unwrap();
        case.expect("lowered.json", &with_notes(&notes, "body", &lowered.body));
    }
}

#[test]
fn streams_are_lifted_under_every_cut() {
    for case in cases() {
        let request = case.read("request.json");
        let stream = match case.has("upstream.json") {
            true => format!("data: {}\n\n", value(&case.read("upstream.json"))).into_bytes(),
            false => case.read("upstream.sse").into_bytes(),
        };
        let whole = frames([&*stream]);
        let mut lift = lift_from(&request, &case.profile());
        let events = printed(|sink| {
            whole.iter().for_each(|frame| lift.push(frame, NOW, sink));
            lift.end(NOW, sink);
        });
        case.expect("events.jsonl", &(events.join("\n") + "\n"));
        let response = terminal(&events);
        let response = with_notes(lift.notes(), "response", &response.to_string());
        case.expect("response.json", &response);

        assert_eq!(violations(&events), vec![], "{}", case.name);
        assert_eq!(fold(&events), terminal(&events), "{}", case.name);
        for at in 0..stream.len() {
            let (before, after) = stream.split_at(at);
            assert_eq!(frames([before, after]), whole, "{} cut at byte {at}", case.name);
        }
        assert_eq!(frames(stream.chunks(1)), whole, "{} byte by byte", case.name);
    }
}
