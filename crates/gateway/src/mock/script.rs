//! What the mock model says, as data: a list of rules, of which the first that fits a request
//! answers it. Written as TOML or JSON.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use serde_json::Value;

/// A script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The model's name in `GET /v1/models`.
    #[serde(default = "default_model")]
    pub model: String,
    /// How many characters a delta brings.
    #[serde(default = "default_piece")]
    pub piece: std::num::NonZeroUsize,
    /// How long to wait before each frame, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Whether a system message may come anywhere; strict backends take it only at the beginning.
    #[serde(default)]
    pub later_system: bool,
    /// The rules, in the order they are tried.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

fn default_model() -> String {
    "mock".to_owned()
}

fn default_piece() -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(16).unwrap_or(std::num::NonZeroUsize::MIN)
}

/// When to answer, and what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What a request must be for this rule.
    #[serde(default)]
    pub when: When,
    /// What the model says.
    #[serde(default)]
    pub answer: Answer,
    /// An error instead of an answer.
    pub refuse: Option<Refusal>,
    /// How the answer breaks.
    pub fault: Option<Fault>,
    #[serde(skip)]
    used: AtomicU32,
}

/// Conditions; all that are named must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Text that the last user message contains.
    pub user: Option<String>,
    /// Text that the last message, a tool's output, contains.
    pub tool_output: Option<String>,
    /// A tool that is offered; one in a namespace is `namespace__name`.
    pub tool: Option<String>,
    /// Text that the address of an image in the last user message contains.
    pub image: Option<String>,
    /// The name of the schema that the answer is to follow.
    pub schema: Option<String>,
    /// How often the rule may answer.
    pub times: Option<u32>,
}

/// What the model says: reasoning first, then text, then calls.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// Its reasoning.
    pub reasoning: Option<String>,
    /// Its text; `{user}` stands for the last user text.
    pub text: Option<String>,
    /// The tools it calls, in parallel.
    pub calls: Vec<Call>,
    /// Why it stops early: `max_output_tokens` or `content_filter`.
    pub incomplete: Option<String>,
    /// Tokens read, as it reports them.
    pub input_tokens: u64,
    /// Tokens made, as it reports them.
    pub output_tokens: u64,
}

/// A tool call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name.
    pub name: String,
    /// Its arguments: a table, or a string that is sent as it is.
    #[serde(default)]
    pub arguments: Value,
}

/// An HTTP error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The error's code.
    pub code: Option<String>,
    /// The error's message.
    #[serde(default)]
    pub message: String,
    /// Seconds, for the `Retry-After` header.
    pub retry_after_s: Option<u64>,
}

/// How a stream breaks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// After how many frames.
    pub after: usize,
}

/// What can happen to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// The connection is broken off.
    Cut,
    /// The body ends as if all was said.
    End,
    /// The next frame comes only by half, then the connection is broken off.
    Half,
    /// Nothing more comes.
    Stall,
    /// An error object comes, and the end.
    Error,
}

/// A script that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the script {path} cannot be used: {reason}")]
pub struct ScriptError {
    path: String,
    reason: String,
}

/// The text of the model that needs no backend.
const ECHO: &str = "This is Latimer's embedded mock model; there is no backend behind it. \
                    Name one with --upstream. You said: {user}";

impl Script {
    /// The embedded model: it says back what it was told.
    pub fn echo() -> Script {
        let answer = Answer { text: Some(ECHO.to_owned()), output_tokens: 24, ..Answer::default() };
        let rule =
            Rule { when: When::default(), answer, refuse: None, fault: None, used: 0.into() };
        Script {
            model: default_model(),
            piece: default_piece(),
            delay_ms: 0,
            later_system: false,
            rules: vec![rule],
        }
    }

    /// Reads a script; a file that ends in `.json` is JSON, any other TOML.
    ///
    /// # Errors
    /// [`ScriptError`] names the file, and the key and line at fault.
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let failed = |reason: String| ScriptError { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        match path.extension().is_some_and(|extension| extension == "json") {
            true => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            false => toml::from_str(&text).map_err(|error| failed(format!("\n{error}"))),
        }
    }

    /// The first rule that fits what was asked.
    pub(super) fn rule(&self, asked: &super::Asked) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.fits(asked))
    }
}

impl Rule {
    /// Whether it fits; if it does, that counts as used.
    fn fits(&self, asked: &super::Asked) -> bool {
        let within = |wanted: &Option<String>, text: Option<&str>| match (wanted, text) {
            (None, _) => true,
            (Some(wanted), Some(text)) => text.contains(wanted),
            (Some(_), None) => false,
        };
        let offered = |name: &String| asked.tools.iter().any(|tool| tool.called == *name);
        let fits = self.when.tool.as_ref().is_none_or(offered)
            && (self.when.schema.is_none() || self.when.schema == asked.schema)
            && within(&self.when.user, Some(&asked.user))
            && within(&self.when.image, Some(&asked.images))
            && within(&self.when.tool_output, asked.tool_output.as_deref());
        let times = self.when.times.unwrap_or(u32::MAX);
        fits && self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < times).then(|| used.saturating_add(1))
            })
            .is_ok()
    }
}
