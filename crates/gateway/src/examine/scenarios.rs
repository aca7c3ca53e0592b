//! The scenarios, as data: what a server is asked in either API.

/// A request that is sent streamed and whole.
pub(super) struct Scenario {
    pub name: &'static str,
    /// The body for Responses, and for Chat Completions, without model and stream.
    pub bodies: [&'static str; 2],
}

/// A request that must be refused.
pub(super) struct Wrong {
    pub name: &'static str,
    /// The body for Responses, and for Chat Completions, without model and stream.
    pub bodies: [&'static str; 2],
    /// Where it is not the API's own.
    pub path: Option<&'static str>,
    pub status: u16,
}

/// The one tool of the scenarios, as either API offers it, and the schema of an object with one member.
macro_rules! tools {
    (Responses) => {
        concat!(
            r#""tools":[{"type":"function","name":"get_weather","description":"Weather of a city","#,
            r#""strict":false,"parameters":"#,
            tools!(schema "city"),
            "}]"
        )
    };
    (Chat) => {
        concat!(
            r#""tools":[{"type":"function","function":{"name":"get_weather","#,
            r#""description":"Weather of a city","parameters":"#,
            tools!(schema "city"),
            "}}]"
        )
    };
    (schema $member:literal) => {
        concat!(
            r#"{"type":"object","properties":{""#,
            $member,
            r#"":{"type":"string"}},"required":[""#,
            $member,
            r#""],"additionalProperties":false}"#
        )
    };
}

/// Requests that are answered, or clearly refused; a plain text first.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "text",
        bodies: [
            r#"{"input":"Say hello in one word."}"#,
            r#"{"messages":[{"role":"user","content":"Say hello in one word."}]}"#,
        ],
    },
    Scenario {
        name: "history with a call",
        bodies: [
            concat!(
                r#"{"instructions":"Be brief.","input":["#,
                r#"{"type":"message","role":"user","content":[{"type":"input_text","#,
                r#""text":"Weather in Oslo?"}]},"#,
                r#"{"type":"function_call","call_id":"call_1","name":"get_weather","#,
                r#""arguments":"{\"city\":\"Oslo\"}"},"#,
                r#"{"type":"function_call_output","call_id":"call_1","output":"Rain."}],"#,
                tools!(Responses),
                "}"
            ),
            concat!(
                r#"{"messages":[{"role":"system","content":"Be brief."},"#,
                r#"{"role":"user","content":"Weather in Oslo?"},"#,
                r#"{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","#,
                r#""type":"function","function":{"name":"get_weather","#,
                r#""arguments":"{\"city\":\"Oslo\"}"}}]},"#,
                r#"{"role":"tool","tool_call_id":"call_1","content":"Rain."}],"#,
                tools!(Chat),
                "}"
            ),
        ],
    },
    Scenario {
        name: "forced call",
        bodies: [
            concat!(
                r#"{"input":"What is the weather in Oslo?","#,
                r#""tool_choice":{"type":"function","name":"get_weather"},"#,
                tools!(Responses),
                "}"
            ),
            concat!(
                r#"{"messages":[{"role":"user","content":"What is the weather in Oslo?"}],"#,
                r#""tool_choice":{"type":"function","function":{"name":"get_weather"}},"#,
                tools!(Chat),
                "}"
            ),
        ],
    },
    Scenario {
        name: "parallel calls",
        bodies: [
            concat!(
                r#"{"input":"What is the weather in Oslo and in Rome? Ask for both at once.","#,
                r#""tool_choice":"required","parallel_tool_calls":true,"#,
                tools!(Responses),
                "}"
            ),
            concat!(
                r#"{"messages":[{"role":"user","content":"#,
                r#""What is the weather in Oslo and in Rome? Ask for both at once."}],"#,
                r#""tool_choice":"required","parallel_tool_calls":true,"#,
                tools!(Chat),
                "}"
            ),
        ],
    },
    Scenario {
        name: "structured output",
        bodies: [
            concat!(
                r#"{"input":"The capital of Norway, as JSON.","text":{"format":"#,
                r#"{"type":"json_schema","name":"capital","strict":true,"schema":"#,
                tools!(schema "capital"),
                "}}}"
            ),
            concat!(
                r#"{"messages":[{"role":"user","content":"The capital of Norway, as JSON."}],"#,
                r#""response_format":{"type":"json_schema","json_schema":"#,
                r#"{"name":"capital","strict":true,"schema":"#,
                tools!(schema "capital"),
                "}}}"
            ),
        ],
    },
    Scenario {
        name: "token limit",
        bodies: [
            r#"{"input":"Count from 1 to 1000.","max_output_tokens":16}"#,
            r#"{"messages":[{"role":"user","content":"Count from 1 to 1000."}],"max_tokens":16}"#,
        ],
    },
];

/// Requests that must be refused.
pub(super) const WRONG: &[Wrong] = &[
    Wrong { name: "body is not JSON", bodies: ["{", "{"], path: None, status: 400 },
    Wrong {
        name: "members of the wrong types",
        bodies: [r#"{"input":7}"#, r#"{"messages":7}"#],
        path: None,
        status: 400,
    },
    Wrong { name: "unknown path", bodies: ["{}", "{}"], path: Some("/no-such-path"), status: 404 },
];
