//! When two requests are the same. In: the method, URL and body of a request, as recorded or as
//! asked. Out: its normal form ([`Asked`]), in which what differs from run to run is left out, and
//! the differences of two of them. What is left out stands in two tables; they were made by holding
//! recordings of the same Codex sessions against each other (0.98, 0.130, 0.150, 0.169; 2026-11).
//! Headers do not count.

use latimer_wire::json::{Outline, Raw};
use serde_json::Value;

use crate::record::Body;
use crate::record::exchange::Payload;
use crate::redact;
use crate::tree::tree;

/// Members of a body that are left out, by their path, and why they differ.
pub const VOLATILE_MEMBERS: &[(&str, &str)] = &[
    ("client_metadata", "Codex: ids of its installation, session and turn; times"),
    ("prompt_cache_key", "Codex: the id of its session"),
    ("input[].id", "made by the client, or by the service in an answer of long ago"),
    ("input[].call_id", "made by the service, or by a bridge on the way; the order links them too"),
    (
        "input[].internal_chat_message_metadata_passthrough",
        "Codex with its built-in provider: when an item was made, and in which turn",
    ),
    ("messages[].id", "made by the client"),
    ("messages[].tool_call_id", "as `call_id`"),
    ("messages[].tool_calls[].id", "as `call_id`"),
];

/// What is left out of every text of a body: what stands after `after` and before `until`.
#[derive(Debug, Clone, Copy)]
pub struct VolatileText {
    /// What it follows.
    pub after: &'static str,
    /// What follows it.
    pub until: &'static str,
    /// Whether it may go over several lines.
    pub lines: bool,
    /// Why it differs.
    pub why: &'static str,
}

/// The texts that are left out.
pub const VOLATILE_TEXTS: &[VolatileText] = &[
    VolatileText {
        after: "<environment_context>",
        until: "</environment_context>",
        lines: true,
        why: "Codex: directory, shell, date and time zone of the machine",
    },
    VolatileText {
        after: "# AGENTS.md instructions for ",
        until: "\n",
        lines: false,
        why: "Codex: the directory",
    },
    VolatileText {
        after: "` = `/",
        until: "/skills/.system`",
        lines: false,
        why: "Codex: its home, where its skills are",
    },
    VolatileText {
        after: "(file: /",
        until: "/SKILL.md)",
        lines: false,
        why: "Codex to 0.150: its home, where its skills are",
    },
    VolatileText {
        after: "Chunk ID: ",
        until: "\n",
        lines: false,
        why: "Codex: a number drawn for what a command prints",
    },
    VolatileText {
        after: "Wall time: ",
        until: " seconds",
        lines: false,
        why: "Codex: how long a command ran",
    },
];

/// Between these Codex says in which directory it works. That directory is left out of every text of
/// the body, because commands print it.
const DIRECTORY: (&str, &str) = ("<cwd>", "</cwd>");

/// What stands where something was left out of a text.
const LEFT_OUT: &str = "…";
/// How much of a value a difference shows, in characters, and how much of it before the place where
/// two texts begin to differ.
const SHOWN_CHARS: usize = 120;
const BEFORE_CHARS: usize = 40;
/// How much one value that differs weighs in a distance; two texts weigh by how much of them differs.
const WEIGHT: u64 = 1000;

/// A request in its normal form.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Method, path and query: `POST /v1/responses`.
    pub place: String,
    body: Value,
}

/// A place where two requests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the body: `input[3].content`.
    pub path: String,
    /// What the recorded request has there, shortened.
    pub recorded: String,
    /// What was asked, shortened.
    pub asked: String,
}

impl Asked {
    /// The normal form of a recorded request.
    pub fn recorded(method: &str, url: &str, body: &Payload<'_>) -> Asked {
        let body = match body {
            Payload::None => Value::Null,
            Payload::Text(text) => Value::String(text.to_string()),
            Payload::Json(json) => normal(json.raw()),
        };
        Asked { place: place(method, url), body }
    }

    /// The normal form of a request as it comes in, its body without its coding.
    ///
    /// ```
    /// use latimer_probe::replay::matching::Asked;
    /// let ask = |body: &str| Asked::of("POST", "/v1/responses", body.as_bytes());
    /// let one = ask(r#"{"model": "m", "input": [{"id": "msg_1", "content": "Hi"}]}"#);
    /// let two = ask(r#"{"input": [{"id": "msg_2", "content": "Hi"}], "model": "m"}"#);
    /// assert_eq!(one.key(), two.key());
    /// ```
    pub fn of(method: &str, url: &str, body: &[u8]) -> Asked {
        let text = String::from_utf8_lossy(body);
        let payload = match Body::of(body) {
            Body::None => Payload::None,
            Body::Json(_) => Payload::Json(Outline::of(Raw::unchecked(&text))),
            Body::Text(_) => Payload::Text(text),
        };
        Asked::recorded(method, url, &payload)
    }

    /// One text for all requests that are the same.
    pub fn key(&self) -> String {
        format!("{} {}", self.place, self.body)
    }

    /// The request of a key; none where the text is no key.
    pub(crate) fn of_key(key: &str) -> Option<Asked> {
        let (at, _) = key.match_indices(' ').nth(1)?;
        let (place, body) = key.split_at(at);
        Some(Asked { place: place.to_owned(), body: serde_json::from_str(body).ok()? })
    }

    /// Whether both want an answer from the same place in the same form: a stream, or whole.
    pub fn is_like(&self, other: &Asked) -> bool {
        let streams = |asked: &Asked| asked.body.get("stream") == Some(&Value::Bool(true));
        self.place == other.place && streams(self) == streams(other)
    }

    /// Whether it wants a response that is made in the background, for which it will ask later.
    pub fn is_polled(&self) -> bool {
        let is_set = |member: &str| self.body.get(member) == Some(&Value::Bool(true));
        is_set("background") && !is_set("stream")
    }

    /// How far apart two requests are; 0 where they are the same.
    pub(crate) fn distance(&self, asked: &Asked) -> u64 {
        let mut distance = 0;
        compare(&mut String::new(), Some(&self.body), Some(&asked.body), &mut |_, one, other| {
            distance += weight(one, other);
        });
        distance
    }

    /// Every place where `asked` differs from this recorded request, sorted by the names of members.
    pub fn differences(&self, asked: &Asked) -> Vec<Difference> {
        let mut all = Vec::new();
        compare(
            &mut String::new(),
            Some(&self.body),
            Some(&asked.body),
            &mut |path, one, other| {
                let (recorded, asked) = shown(one, other);
                all.push(Difference { path: path.to_owned(), recorded, asked });
            },
        );
        all
    }
}

fn place(method: &str, url: &str) -> String {
    let below_host =
        |(_, rest): (&str, &str)| rest.find('/').map(|at| rest.split_at(at).1.to_owned());
    let path = url
        .split_once("://")
        .map_or_else(|| url.to_owned(), |split| below_host(split).unwrap_or("/".into()));
    format!("{method} {}", redact::url(&path))
}

fn normal(body: Raw<'_>) -> Value {
    let mut body = tree(body);
    let directory = directory(&body).map(str::to_owned);
    leave_out(&mut body, &mut String::new(), directory.as_deref());
    body.sort_all_objects();
    body
}

/// The directory that some text says Codex works in.
fn directory(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => {
            let (_, rest) = text.split_once(DIRECTORY.0)?;
            let (directory, _) = rest.split_once(DIRECTORY.1)?;
            // The root is a part of every path.
            (directory.len() > 1).then_some(directory)
        }
        Value::Array(elements) => elements.iter().find_map(directory),
        Value::Object(members) => members.values().find_map(directory),
        _ => None,
    }
}

/// Takes what is volatile out of the value at `path`, which is left as it was.
fn leave_out(value: &mut Value, path: &mut String, directory: Option<&str>) {
    let bytes = path.len();
    match value {
        Value::String(text) => {
            if let Some(directory) = directory.filter(|directory| text.contains(directory)) {
                *text = text.replace(directory, LEFT_OUT);
            }
            for rule in VOLATILE_TEXTS {
                if text.contains(rule.after) {
                    *text = rule.left_out_of(text);
                }
            }
        }
        Value::Array(elements) => {
            path.push_str("[]");
            elements.iter_mut().for_each(|element| leave_out(element, path, directory));
        }
        Value::Object(members) => members.retain(|key, member| {
            path.truncate(bytes);
            push_member(path, key);
            let stays = VOLATILE_MEMBERS.iter().all(|(volatile, _)| volatile != path);
            if stays {
                leave_out(member, path, directory);
            }
            stays
        }),
        _ => {}
    }
    path.truncate(bytes);
}

impl VolatileText {
    fn left_out_of(&self, text: &str) -> String {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find(self.after) {
            let (before, found) = rest.split_at(at + self.after.len());
            let line_bytes = found.find('\n').map_or(found.len(), |end| end + 1);
            let (near, _) = found.split_at(if self.lines { found.len() } else { line_bytes });
            out.push_str(before);
            let passed = match near.find(self.until) {
                Some(end) => {
                    out.push_str(LEFT_OUT);
                    end
                }
                None => {
                    out.push_str(near);
                    near.len()
                }
            };
            rest = found.split_at(passed).1;
        }
        out.push_str(rest);
        out
    }
}

fn push_member(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Tells every place where two values differ, with what is there on either side.
fn compare(
    path: &mut String,
    recorded: Option<&Value>,
    asked: Option<&Value>,
    tell: &mut impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    let bytes = path.len();
    match (recorded, asked) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let more = other.keys().filter(|key| !one.contains_key(*key));
            let mut keys: Vec<_> = one.keys().chain(more).collect();
            keys.sort();
            for key in keys {
                push_member(path, key);
                compare(path, one.get(key), other.get(key), tell);
                path.truncate(bytes);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                path.push_str(&format!("[{at}]"));
                compare(path, one.get(at), other.get(at), tell);
                path.truncate(bytes);
            }
        }
        (one, other) if one != other => tell(path, one, other),
        _ => {}
    }
}

fn weight(one: Option<&Value>, other: Option<&Value>) -> u64 {
    match (one, other) {
        (Some(Value::String(one)), Some(Value::String(other))) => {
            let same = same_beginning(one, other) as u64;
            let longer = one.len().max(other.len()).max(1) as u64;
            1 + (longer - same) * WEIGHT / longer
        }
        (one, other) => [one, other].into_iter().flatten().map(leaves).sum::<u64>() * WEIGHT,
    }
}

fn leaves(value: &Value) -> u64 {
    let below = match value {
        Value::Array(elements) => elements.iter().map(leaves).sum(),
        Value::Object(members) => members.values().map(leaves).sum(),
        _ => 0,
    };
    below.max(1)
}

/// How many bytes two texts begin with that are the same, whole characters only.
fn same_beginning(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs.take_while(|(one, other)| one == other).map(|(same, _)| same.len_utf8()).sum()
}

/// Two values that differ, as a reader sees how.
fn shown(recorded: Option<&Value>, asked: Option<&Value>) -> (String, String) {
    match (recorded, asked) {
        (Some(Value::String(one)), Some(Value::String(other))) => {
            let same = same_beginning(one, other);
            let words = |text: &str| Value::from(around(text, same)).to_string();
            (words(one), words(other))
        }
        (one, other) => (value_shown(one), value_shown(other)),
    }
}

fn value_shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| around(&value.to_string(), 0))
}

/// A text around one of its bytes.
fn around(text: &str, at: usize) -> String {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let kept = before.char_indices().rev().nth(BEFORE_CHARS.saturating_sub(1));
    let from = kept.map_or(0, |(from, _)| from);
    let near = text.get(from..).unwrap_or(after);
    let mut out = String::from(if from > 0 { LEFT_OUT } else { "" });
    out.extend(near.chars().take(SHOWN_CHARS));
    if near.chars().nth(SHOWN_CHARS).is_some() {
        out.push_str(LEFT_OUT);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Asked, Difference};

    fn ask(body: &str) -> Asked {
        Asked::of("POST", "http://host/v1/responses?key=1", body.as_bytes())
    }

    /// Bodies that are the same request, and one that is another.
    const CASES: &[(&str, &str, &str)] = &[
        (
            r#"{"client_metadata": {"turn_id": "1"}, "prompt_cache_key": "1", "input": "a"}"#,
            r#"{"input": "a"}"#,
            r#"{"input": "a", "metadata": {"turn_id": "1"}}"#,
        ),
        (
            r#"{"input": [{"id": "fco_1", "call_id": "c1", "output": "Chunk ID: 1\nWall time: 2.0 seconds\nok"}]}"#,
            r#"{"input": [{"call_id": "c2", "output": "Chunk ID: 34\nWall time: 0.1 seconds\nok"}]}"#,
            r#"{"input": [{"call_id": "c2", "output": "Chunk ID: 34\nWall time: 0.1 seconds\nno"}]}"#,
        ),
        (
            r#"{"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]}"#,
            r#"{"messages": [{"role": "tool", "tool_call_id": "2", "content": "x"}]}"#,
            r#"{"messages": [{"role": "user", "tool_call_id": "2", "content": "x"}]}"#,
        ),
        (
            r#"{"input": ["<environment_context>\n<cwd>/home/a</cwd>\n</environment_context>", "ls /home/a/b"]}"#,
            r#"{"input": ["<environment_context>\n<cwd>/ci</cwd>\n<date>2</date></environment_context>", "ls /ci/b"]}"#,
            r#"{"input": ["<environment_context>\n<cwd>/ci</cwd>\n</environment_context>", "ls /ci/c"]}"#,
        ),
        (
            r#"{"input": [{"internal_chat_message_metadata_passthrough": {"create_time": 1.5}}]}"#,
            r#"{"input": [{}]}"#,
            r#"{"input": [{"metadata": {"create_time": 1.5}}]}"#,
        ),
        ("not json", "not json", "no json"),
    ];

    #[test]
    fn what_is_volatile_does_not_count_and_all_else_does() {
        for (one, same, other) in CASES {
            assert_eq!(ask(one).key(), ask(same).key());
            assert_ne!(ask(one).key(), ask(other).key());
            assert_eq!(ask(one).distance(&ask(same)), 0);
            assert_eq!(Asked::of_key(&ask(one).key()), Some(ask(one)));
        }
        assert_eq!(ask("").place, "POST /v1/responses?key=[REDACTED]");
    }

    #[test]
    fn a_rule_ends_with_its_line() {
        let text = |more: &str| ask(&format!("{{\"input\": \"Wall time: {more}\"}}")).key();
        assert_ne!(text("1\\n2 seconds"), text("1\\n3 seconds"));
        assert_eq!(text("1 seconds Wall time: 2 seconds"), text("2 seconds Wall time: 3 seconds"));
    }

    #[test]
    fn a_difference_says_where_and_what() {
        let one = ask(&format!(r#"{{"input": [{{"text": "{}Xy"}}], "n": 1}}"#, "a".repeat(200)));
        let two = ask(&format!(r#"{{"input": [{{"text": "{}Zy"}}], "m": [2]}}"#, "a".repeat(200)));
        let before = "a".repeat(40);
        let difference = |path: &str, recorded: String, asked: String| Difference {
            path: path.to_owned(),
            recorded,
            asked,
        };
        let wanted = [
            difference("input[0].text", format!("\"…{before}Xy\""), format!("\"…{before}Zy\"")),
            difference("m", "nothing".to_owned(), "[2]".to_owned()),
            difference("n", "1".to_owned(), "nothing".to_owned()),
        ];
        assert_eq!(one.differences(&two), wanted);
    }
}
