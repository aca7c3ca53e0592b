//! The scripted model itself: which rule answers, what it makes of a request, and that it says the
//! same twice, and the same in every dialect.

use std::net::SocketAddr;

use latimer_gateway::Config;
use latimer_gateway::mock::{Mock, Script};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// A gateway before the mock, for each dialect that the mock speaks.
const DIALECTS: [fn(SocketAddr) -> Config; 3] = [before, before_responses, before_agent];

/// Asks the mock for a whole answer of the hub.
async fn hub(mock: SocketAddr, body: Value) -> Value {
    let answered = ask(mock, &post("", body.to_string())).await;
    answered.json()
}

/// All texts, refusals and calls of an answer, in order.
fn said(response: &Value) -> Vec<String> {
    let items = response["output"].as_array().unwrap_or_else(|| panic!("{response}"));
    let mut said = Vec::new();
    for item in items {
        for part in item["content"].as_array().into_iter().flatten() {
            let text = part["text"].as_str().or(part["refusal"].as_str());
            said.push(format!("{}: {}", part["type"].as_str().unwrap(), text.unwrap()));
        }
        let input = item["arguments"].as_str().or(item["input"].as_str());
        let name = item["name"].as_str();
        said.extend(name.map(|name| format!("{name} {}", input.unwrap())));
    }
    said
}

const SHELL: &str = r#"{"type":"function","name":"shell","parameters":{"type":"object",
    "properties":{"command":{"type":"array","items":{"type":"string"}},"timeout":{"type":"integer"}},
    "required":["command"]}}"#;

#[tokio::test]
async fn the_first_rule_that_fits_answers() {
    let script = r#"
        rule = [
          { when = { model = "big" }, answer = { text = "model" } },
          { when = { user_is = "exactly this" }, answer = { text = "is" } },
          { when = { user_matches = "^num[0-9]+$" }, answer = { text = "matches" } },
          { when = { user = "within" }, answer = { text = "contains" } },
          { when = { tool_output_is = "12" }, answer = { text = "output is" } },
          { when = { tool_output_matches = "^1" }, answer = { text = "output matches" } },
          { when = { user = "twice", turn = 2 }, answer = { text = "second" } },
          { when = { user = "refuse" }, answer = { refusal = "I will not." } },
          { when = { user = "loop" }, steps = [
              { calls = [{ name = "shell", arguments = { command = ["ls"] } }] },
              { calls = [{ name = "shell" }] },
              { text = "done after {tool_output}" } ] },
          { when = { user = "hand on" }, steps = [
              { calls = [{ name = "shell" }] },
              { calls = [{ name = "shell", arguments = { command = ["kill {tool_output/pid}", "{user}"] } }] },
              { text = "{tool_output/0} {{user} {tool_output/1} {}" } ] },
          { answer = { text = "none" } },
        ]"#;
    let user = |text: &str| json!({"role": "user", "content": text});
    let model = json!({"role": "assistant", "content": "Yes."});
    let call = json!({"type": "function_call", "call_id": "c", "name": "shell", "arguments": "{}"});
    let output =
        |text: &str| json!({"type": "function_call_output", "call_id": "c", "output": text});
    let cases = [
        ("big", vec![user("x")], "output_text: model"),
        ("m", vec![user("exactly this")], "output_text: is"),
        ("m", vec![user("exactly this.")], "output_text: none"),
        ("m", vec![user("num12")], "output_text: matches"),
        ("m", vec![user("num12x")], "output_text: none"),
        ("m", vec![user("it is within it")], "output_text: contains"),
        ("m", vec![user("x"), call.clone(), output("12")], "output_text: output is"),
        ("m", vec![user("x"), call.clone(), output("123")], "output_text: output matches"),
        ("m", vec![user("twice")], "output_text: none"),
        ("m", vec![user("x"), model.clone(), user("twice")], "output_text: second"),
        ("m", vec![user("refuse")], "refusal: I will not."),
        ("m", vec![user("loop")], "shell {\"command\":[\"ls\"]}"),
        ("m", vec![user("x"), model, user("loop")], "shell {\"command\":[\"ls\"]}"),
        ("m", vec![user("loop"), call.clone(), output("x")], "shell {\"command\":[\"echo\"]}"),
        (
            "m",
            vec![user("loop"), call.clone(), output("x"), call.clone(), output("{user}")],
            "output_text: done after {user}",
        ),
        (
            "m",
            vec![user("hand on {user}"), call.clone(), output(r#"{"pid":"{user}7"}"#)],
            r#"shell {"command":["kill {user}7","hand on {user}"]}"#,
        ),
        (
            "m",
            vec![user("hand on"), call.clone(), output("x"), call.clone(), output("[[1]]")],
            "output_text: [1] {hand on {tool_output/1} {}",
        ),
    ];
    let mock = mock(script).await;
    let tools: Value = serde_json::from_str(&format!("[{SHELL}]")).unwrap();
    for (model, input, wanted) in cases {
        let body = json!({"model": model, "input": input, "tools": tools});
        assert_eq!(said(&hub(mock, body).await), [wanted], "{input:?}");
    }
}

#[tokio::test]
async fn the_echo_model_does_a_whole_turn_of_codex() {
    for before in DIALECTS {
        let mock = serve(Mock::new(Script::echo())).await;
        a_whole_turn_of_codex(Gateway::start(before(mock)).await).await;
    }
}

async fn a_whole_turn_of_codex(gateway: Gateway) {
    let tools: Value = serde_json::from_str(&format!(
        r#"[{SHELL},{{"type":"custom","name":"apply_patch","format":{{"type":"text"}}}},
            {{"type":"namespace","name":"mcp__files","tools":[
                {{"type":"function","name":"list","parameters":{{"type":"object"}}}}]}}]"#
    ))
    .unwrap();
    // what the user says, the call that follows, with its namespace
    let cases = [
        ("Use shell to list the files.", "shell {\"command\":[\"echo\"]}", None),
        ("shell {\"command\": [\"ls\", \"-l\"]}", "shell {\"command\":[\"ls\",\"-l\"]}", None),
        ("Please use apply_patch.", "apply_patch echo", None),
        ("Call `mcp__files__list`.", "list {}", Some("mcp__files")),
    ];
    for (text, wanted, namespace) in cases {
        let mut input = vec![
            json!({"type": "message", "role": "developer",
                "content": [{"type": "input_text", "text": "You are Codex."}]}),
            json!({"type": "message", "role": "user",
                "content": [{"type": "input_text", "text": text}]}),
        ];
        let turn = |input: &[Value]| {
            let body = json!({"model": "gpt-5", "instructions": "Work.", "input": input,
                "tools": tools, "tool_choice": "auto", "parallel_tool_calls": false,
                "store": false, "stream": true, "include": ["reasoning.encrypted_content"]});
            let (address, request) = (gateway.address, post("", body.to_string()));
            async move { ask(address, &request).await.terminal()["response"].take() }
        };
        let first = turn(&input).await;
        assert_eq!(said(&first), [wanted], "{text}");
        let call = &first["output"][0];
        assert_eq!(call["namespace"].as_str(), namespace, "{text}");
        input.push(call.clone());
        let kind = format!("{}_output", call["type"].as_str().unwrap());
        input.push(json!({"type": kind, "call_id": call["call_id"], "output": "a.txt"}));
        assert_eq!(said(&turn(&input).await), ["output_text: The tool said: a.txt"], "{text}");
    }
    let nothing = hub(gateway.address, json!({"model": "m", "input": "The shells of eggs"})).await;
    assert!(said(&nothing)[0].ends_with("You said: The shells of eggs"), "{nothing}");
}

#[tokio::test]
async fn a_structured_answer_follows_the_schema_of_the_request() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"},
        "celsius": {"type": "number"}}, "required": ["city", "celsius"],
        "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "Weather", "schema": schema});
    let chat = json!({"type": "json_schema", "json_schema": {"name": "Weather", "schema": schema}});
    let wanted = "{\"city\":\"echo\",\"celsius\":1}";
    let script = r#"rule = [
        { when = { user = "explicit" }, answer = { structured = true, text = "no schema" } },
        { when = { user = "text" }, answer = { text = "text" } },
        { answer = {} } ]"#;
    let mock = mock(script).await;
    for (user, wanted) in [("explicit", wanted), ("text", "text"), ("nothing", wanted)] {
        let body = json!({"model": "m", "input": user, "text": {"format": format}});
        assert_eq!(said(&hub(mock, body).await), [format!("output_text: {wanted}")], "{user}");
        let body = json!({"model": "m", "messages": [{"role": "user", "content": user}],
            "response_format": chat});
        let answered = ask(mock, &post_to("/v1/chat/completions", "", body.to_string())).await;
        assert_eq!(answered.json()["choices"][0]["message"]["content"], wanted, "{user}");
    }
    let body = json!({"model": "m", "input": "explicit"});
    assert_eq!(said(&hub(mock, body).await), ["output_text: no schema"]);
}

#[tokio::test]
async fn one_script_says_the_same_in_every_dialect() {
    let script = r#"
        piece = 3
        rule = [
          { when = { user = "text" }, answer = { reasoning = "Let me think.",
              text = "naïve 東京: {user}", input_tokens = 7, cached_tokens = 4, output_tokens = 3 } },
          { when = { user = "refuse" }, answer = { refusal = "I will not." } },
          { when = { user = "schema" }, answer = { structured = true } },
          { when = { user = "half" }, answer = { text = "Once", incomplete = "max_output_tokens" } },
          { when = { user = "calls" }, answer = { text = "Look:", calls = [
              { name = "shell", arguments = { command = ["ls"] } }, { name = "shell" },
              { name = "apply_patch", arguments = "*** Begin" } ] } },
          { when = { user = "error" }, refuse = { status = 429, code = "slow_down",
              message = "Not so fast.", retry_after_s = 3 } },
        ]"#;
    let tools: Value = serde_json::from_str(&format!(
        "[{SHELL},{{\"type\":\"custom\",\"name\":\"apply_patch\"}}]"
    ))
    .unwrap();
    let format = json!({"type": "json_schema", "name": "n", "schema": {"type": "object",
        "properties": {"city": {"type": "string"}}, "required": ["city"]}});
    let mut told = Vec::new();
    for before in DIALECTS {
        let gateway = Gateway::start(before(mock(script).await)).await;
        let mut answers = Vec::new();
        for user in ["text", "refuse", "schema", "half", "calls"] {
            let mut body = json!({"model": "m", "input": user, "tools": tools});
            if user == "schema" {
                body["text"] = json!({"format": format});
            }
            let whole = hub(gateway.address, body.clone()).await;
            body["stream"] = json!(true);
            let streamed = ask(gateway.address, &post("", body.to_string())).await;
            let streamed = streamed.terminal()["response"].take();
            assert_eq!(said(&whole), said(&streamed), "{user}");
            let facts = |key: &str| (whole[key].clone(), streamed[key].clone());
            let reasoning = whole.to_string().contains("Let me think.");
            let usage = whole["usage"]["total_tokens"].clone();
            answers.push((user, said(&whole), facts("status"), reasoning, usage));
        }
        let error = hub(gateway.address, json!({"model": "m", "input": "error"})).await;
        told.push((answers, error["error"]["code"].clone()));
        gateway.stop().await;
    }
    assert_eq!(told[0], told[1], "Chat and Responses");
    assert_eq!(told[1], told[2], "Responses and work orders");
    let (answers, error) = &told[2];
    assert_eq!(answers[0].1, ["output_text: naïve 東京: text"]);
    assert_eq!((answers[0].3, &answers[0].4), (true, &json!(10)));
    assert_eq!(answers[3].2.0, "incomplete");
    assert_eq!(answers[4].1.len(), 4, "{:?}", answers[4].1);
    assert_eq!(error, "slow_down");
}

const ORDER: &str = r#"{"id":"o","task":"Hi","config":{"model":"m"}}"#;

#[tokio::test]
async fn a_work_order_that_is_not_right_is_refused() {
    let needs = r#"{"task":"Hi","requirements":{"required":[
        {"capability":"code_execution","min_support":"emulated"}]}}"#;
    // the work order, the error's code, its parameter
    let cases: [(&[u8], &str, &str); 6] = [
        (b"{\"task\":", "invalid_json", ""),
        (b"\"\xff\"", "invalid_utf8", ""),
        (br#"{"id":"o"}"#, "missing_required_parameter", "task"),
        (br#"{"task":7}"#, "invalid_type", "task"),
        (needs.as_bytes(), "capability_unsupported", "requirements.required[0]"),
        (
            br#"{"task":"Hi","config":{"vendor":{"temperature":"hot"}}}"#,
            "invalid_type",
            "temperature",
        ),
    ];
    let mock = mock("rule = [{ answer = { text = 'Fine.' } }]").await;
    for (body, code, param) in cases {
        let refused = ask(mock, &post_to("/v1/run", "", body)).await;
        let error = refused.error();
        assert_eq!((refused.status, error["code"].as_str()), (400, Some(code)), "{error}");
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{error}");
    }
    let sound = ask(mock, &post_to("/v1/run", "", ORDER)).await.json();
    assert_eq!(
        (&sound["outcome"], &sound["meta"]["work_order_id"]),
        (&"complete".into(), &"o".into())
    );
}

/// What the mock says as a program that is given these lines.
async fn piped(script: &str, given: &str) -> Vec<Value> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut hear, mut say) = tokio::io::split(ours);
    let running = tokio::spawn(model(script).run(theirs));
    say.write_all(given.as_bytes()).await.unwrap();
    say.shutdown().await.unwrap();
    let mut said = String::new();
    within("the run ends", hear.read_to_string(&mut said)).await.unwrap();
    running.await.unwrap().unwrap();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
    said.lines().map(read).collect()
}

#[tokio::test]
async fn a_work_order_is_run_by_the_mock_as_a_program() {
    let script = "piece = 8\nrule = [
        { when = { user = 'cut' }, fault = { kind = 'half:2' }, answer = { text = 'Never said.' } },
        { when = { user = 'refuse' }, refuse = { status = 503, message = 'Later.' } },
        { when = { user = 'Hi' }, answer = { text = 'Hello there.' } } ]";
    let run = |task: &str| {
        let order = ORDER.replace("Hi", task);
        format!("{{\"t\":\"run\",\"id\":\"r\",\"work_order\":{order}}}\n")
    };
    let said = piped(script, &run("Hi")).await;
    let kinds: Vec<_> = said.iter().map(|line| line["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["hello", "event", "event", "event", "event", "event", "final"]);
    assert!(said[1..].iter().all(|line| line["ref_id"] == "r"), "{said:?}");
    assert_eq!(said[6]["receipt"]["meta"]["run_id"], "r");
    assert_eq!(said[6]["receipt"]["meta"]["work_order_id"], "o");
    let cut = piped(script, &run("cut")).await;
    assert_eq!(cut.len(), 4, "{cut:?}");
    assert!(cut[3].is_string(), "half a line: {cut:?}");
    // what is given, the code of what comes of it
    let cases = [
        (run("refuse"), json!("mock_error")),
        (run("nothing fits"), json!("no_rule")),
        ("nonsense\n".to_owned(), json!("invalid_json")),
        ("{\"t\":\"fatal\",\"error\":\"x\"}\n".to_owned(), json!("unexpected_message")),
        ("{\"t\":\"run\",\"id\":\"r\"}\n".to_owned(), json!("missing_required_parameter")),
    ];
    for (given, code) in cases {
        let said = piped(script, &given).await;
        assert_eq!(
            (said.len(), &said[1]["t"], &said[1]["error_code"]),
            (2, &"fatal".into(), &code)
        );
    }
    assert_eq!(piped(script, "").await.len(), 1, "a hello, and nobody there");
}

#[tokio::test]
async fn the_same_script_says_the_same_bytes() {
    let script = "tokens_per_second = 40000\njitter = 0.5\nseed = 3\npiece = 2\n\
        rule = [{ answer = { reasoning = 'So.', text = 'You said {user}', input_tokens = 3, \
        cached_tokens = 2, output_tokens = 9, reasoning_tokens = 4, calls = [{ name = 'f' }] } }]";
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let whole = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mock = mock(script).await;
        let mut run = Vec::new();
        for (path, body) in [
            ("/v1/responses", ASK_STREAM),
            ("/v1/responses", ASK_WHOLE),
            ("/v1/chat/completions", chat),
            ("/v1/chat/completions", whole),
            ("/v1/run", ORDER),
        ] {
            run.push(ask(mock, &post_to(path, "", body)).await.text());
        }
        let events = post_to("/v1/run", "accept: text/event-stream\r\n", ORDER);
        run.push(ask(mock, &events).await.text());
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    let usage = &serde_json::from_str::<Value>(&runs[0][1]).unwrap()["usage"];
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 2);
    assert_eq!(usage["output_tokens_details"]["reasoning_tokens"], 4);
}

#[test]
fn a_script_that_cannot_be_used_says_where_and_why() {
    // the file, what it holds, what the error says
    let cases = [
        ("a.toml", "rule = [\n  { wen = {} },\n]", "line 2, column 5"),
        ("a.toml", "rule = [\n  { when = { user_matches = '(' } },\n]", "line 2, column 29"),
        ("a.toml", "rule = [\n  { when = { turn = 'first' } },\n]", "line 2, column 21"),
        ("a.toml", "sed = 1\nrule = []", "unknown field `sed`"),
        ("a.json", "{\n \"rule\": [{\"answer\": {\"txt\": \"x\"}}]}", "line 2 column"),
        ("a.json", "{\n \"rule\": [{\"when\": {\"user_matches\": \"[\"}}]}", "line 2 column"),
        (
            "a.toml",
            "rule = [{ answer = { text = 'a' }, steps = [{ text = 'b' }] }]",
            "rule 1 has both `answer` and `steps`",
        ),
        ("a.toml", "jitter = 2\nrule = []", "`jitter` is 2; it has to be from 0 to 1"),
        ("a.toml", "tokens_per_second = 0\nrule = []", "it has to be more than 0"),
        ("a.toml", "rule = [{ fault = { kind = 'melt' } }]", "there is no fault `melt`"),
        (
            "a.toml",
            "rule = [{ answer = { text = 'a' } }, { fault = { kind = 'cut:1', after = 2 } }]",
            "rule 2 has an `after` for a fault that counts no frames, or has its number",
        ),
    ];
    let directory = Folder::new();
    for (name, text, wanted) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let error = Script::read(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(wanted) && error.contains(name), "{text}: {error}");
    }
}

#[test]
fn the_schema_describes_scripts() {
    let schema: Value = serde_json::from_str(&Script::schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["rule"]));
    for (of, key) in [("When", "user_matches"), ("Answer", "call_named"), ("Fault", "after")] {
        let described = &schema["$defs"][of]["properties"][key];
        assert!(described["description"].is_string(), "{of}.{key}: {described}");
    }
}

#[test]
fn the_script_in_the_readme_can_be_used() {
    let readme = include_str!("../../../../README.md");
    let mut blocks = readme.split("```toml\n").filter_map(|block| block.split("```").next());
    let script = blocks.find(|block| block.contains("[[rule]]")).unwrap();
    model(script);
}
