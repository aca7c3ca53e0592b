//! What the strictest backends ask of a request, so that none which one of them would refuse passes
//! unseen. In: a request in Chat Completions or Responses form, or a work order. Out: the first rule
//! that it breaks.
//!
//! A Responses request is held against the hub's own table, and a work order against its types, what
//! the mock can do, and then as the request that it becomes. Of the Chat rules, each is some server's
//! own: OpenAI, DeepSeek and Mistral refuse calls without output, outputs without call and long ids;
//! vLLM and llama.cpp refuse arguments that are no JSON; the chat templates of Mistral, Gemma and Qwen
//! refuse a later system message or an assistant that speaks twice.

use std::collections::BTreeSet;

use latimer_wire::backplane::{WorkOrder, lift_request};
use latimer_wire::error::ApiError;
use latimer_wire::note::Notes;
use latimer_wire::responses::Request;
use serde_json::Value;

use super::told::capabilities;

/// The longest id and name that all backends take.
const ID_CHARS_MAX: usize = 64;

/// Which roles may come after which; the empty one is the beginning.
const AFTER: &[(&str, &[&str])] = &[
    ("", &["system", "developer", "user"]),
    ("system", &["user"]),
    ("developer", &["user"]),
    ("user", &["user", "assistant"]),
    ("assistant", &["user", "tool"]),
    ("tool", &["user", "tool", "assistant"]),
];

/// What a script may allow: a system message that comes later.
const LATER_SYSTEM: &[&str] = &["system", "developer"];

/// What is wrong with a request: the member at fault, and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub param: String,
    pub message: String,
}

fn fault(param: String, message: String) -> Result<(), Fault> {
    Err(Fault { param, message })
}

/// Holds a request in Responses form against what it may be. The mock keeps nothing that it could go
/// on from.
pub(super) fn check_hub(body: &[u8]) -> Result<(), ApiError> {
    let request = Request::parse(text(body)?)?;
    request.check()?;
    match request.given("previous_response_id") {
        None => Ok(()),
        Some(id) => {
            let message = format!("Previous response with id {id} not found: the mock keeps none.");
            let code = "previous_response_not_found";
            Err(ApiError::invalid("previous_response_id", code, message))
        }
    }
}

/// A work order, held against its types.
pub(super) fn order(body: &[u8]) -> Result<WorkOrder, ApiError> {
    WorkOrder::parse(text(body)?)
}

/// The request that a work order becomes, in Responses form.
pub(super) fn hub_of(order: &WorkOrder) -> Result<Value, ApiError> {
    order.requirements.check(&capabilities())?;
    let hub = lift_request(order, &mut Notes::default())?;
    check_hub(hub.as_bytes())?;
    Ok(serde_json::from_str(&hub).unwrap_or_default())
}

fn text(body: &[u8]) -> Result<&str, ApiError> {
    let text = std::str::from_utf8(body);
    text.map_err(|_| ApiError::invalid("", "invalid_utf8", "The body is no UTF-8."))
}

/// Holds a request against the rules.
pub(super) fn check(body: &Value, later_system: bool) -> Result<(), Fault> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut history = History { before: "", open: BTreeSet::new(), later_system };
    for (index, message) in messages.iter().enumerate() {
        history.message(message, &format!("messages[{index}]"))?;
    }
    match history.open.first() {
        _ if messages.is_empty() => fault("messages".to_owned(), "There are none.".to_owned()),
        Some(id) => fault("messages".to_owned(), format!("The call `{id}` has no output.")),
        None => Ok(()),
    }
}

/// What came so far.
struct History<'a> {
    /// The role of the last message.
    before: &'a str,
    /// The ids of the calls that still wait for their output.
    open: BTreeSet<&'a str>,
    later_system: bool,
}

impl<'a> History<'a> {
    fn message(&mut self, message: &'a Value, at: &str) -> Result<(), Fault> {
        let role = message["role"].as_str().unwrap_or_default();
        self.order(role, at)?;
        let content = &message["content"];
        if role != "assistant" && !content.is_string() && !content.is_array() {
            return fault(format!("{at}.content"), format!("It is {content}."));
        }
        for (number, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            self.call(call, &format!("{at}.tool_calls[{number}]"))?;
        }
        let answered = &message["tool_call_id"];
        if role == "tool" && !self.open.remove(answered.as_str().unwrap_or_default()) {
            let message = format!("No call before has the id {answered}.");
            return fault(format!("{at}.tool_call_id"), message);
        }
        self.before = role;
        Ok(())
    }

    fn order(&self, role: &str, at: &str) -> Result<(), Fault> {
        let row = AFTER.iter().find(|(name, _)| *name == self.before);
        let follows = row.is_some_and(|(_, roles)| roles.contains(&role));
        let allowed = self.later_system && LATER_SYSTEM.contains(&role);
        if !follows && !allowed {
            let message = format!("A message of the role `{role}` after one of `{}`.", self.before);
            return fault(at.to_owned(), message);
        }
        match self.open.first() {
            Some(id) if role != "tool" => {
                fault(at.to_owned(), format!("The call `{id}` has no output before this message."))
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, call: &'a Value, at: &str) -> Result<(), Fault> {
        let kind = call["type"].as_str().unwrap_or_default();
        let (id, name) = (&call["id"], call.pointer(&format!("/{kind}/name")));
        for (member, text) in [("id", Some(id)), ("name", name)] {
            if !text.and_then(Value::as_str).is_some_and(is_plain) {
                return fault(
                    format!("{at}.{member}"),
                    format!("Not every backend takes {text:?}."),
                );
            }
        }
        let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
        let is_object =
            |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|json| json.is_object());
        if kind == "function" && !arguments.is_some_and(is_object) {
            let message = format!("They are no JSON object: {arguments:?}.");
            return fault(format!("{at}.arguments"), message);
        }
        match self.open.insert(id.as_str().unwrap_or_default()) {
            true => Ok(()),
            false => fault(format!("{at}.id"), "Two calls have this id.".to_owned()),
        }
    }
}

/// Letters, digits, `_` and `-`, and not too many.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= ID_CHARS_MAX && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(id: &str) -> Value {
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function",
            "function": {"name": "exec_command", "arguments": "{}"}}]})
    }

    fn said(role: &str) -> Value {
        json!({"role": role, "content": "x"})
    }

    fn output(id: &str) -> Value {
        json!({"role": "tool", "content": "x", "tool_call_id": id})
    }

    /// The member at fault; none where all is well.
    fn fault(messages: &[Value], later_system: bool) -> Option<String> {
        check(&json!({"messages": messages}), later_system).err().map(|fault| fault.param)
    }

    #[test]
    fn a_whole_history_passes() {
        let whole = [said("system"), said("user"), said("user"), call("a"), output("a")];
        assert_eq!(fault(&whole, false), None);
        let later = [said("user"), said("system"), said("user")];
        assert_eq!(fault(&later, true), None);
    }

    #[test]
    fn each_rule_names_the_place() {
        let long = "x".repeat(65);
        let user = || said("user");
        let mut half = call("a");
        half["tool_calls"][0]["function"]["arguments"] = "{\"cmd\": \"ls".into();
        let cases = [
            (vec![], "messages"),
            (vec![said("assistant")], "messages[0]"),
            (vec![user(), said("system")], "messages[1]"),
            (vec![user(), said("assistant"), said("assistant")], "messages[2]"),
            (vec![user(), output("a")], "messages[1]"),
            (vec![user(), call("a")], "messages"),
            (vec![user(), call("a"), user()], "messages[2]"),
            (vec![user(), call("a"), output("b")], "messages[2].tool_call_id"),
            (vec![user(), call("a"), output("a"), output("a")], "messages[3].tool_call_id"),
            (vec![user(), call(&long)], "messages[1].tool_calls[0].id"),
            (vec![user(), call("a.b")], "messages[1].tool_calls[0].id"),
            (vec![json!({"role": "user", "content": null})], "messages[0].content"),
            (vec![user(), half], "messages[1].tool_calls[0].arguments"),
        ];
        for (messages, at) in cases {
            assert_eq!(fault(&messages, false).as_deref(), Some(at), "{messages:?}");
        }
    }
}
