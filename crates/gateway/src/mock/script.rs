//! What the mock model says, as data: a list of rules, of which the first that fits a request
//! answers it. Written as TOML or JSON.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use latimer_wire::error::ApiError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::asked::Asked;
use super::fault::Named;

/// A script.
#[derive(Debug, Deserialize, JsonSchema)]
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
    /// How long to wait before the first frame besides, in milliseconds.
    #[serde(default)]
    pub first_token_ms: u64,
    /// How fast the model speaks; four characters count as a token.
    pub tokens_per_second: Option<f64>,
    /// By which part a pause may be longer or shorter, from 0 to 1.
    #[serde(default)]
    pub jitter: f64,
    /// What the jitter is drawn from.
    #[serde(default)]
    pub seed: u64,
    /// When answers say that they were made, in Unix seconds: the clock is not asked.
    #[serde(default = "default_created")]
    pub created: u64,
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

/// The first second of 2026.
fn default_created() -> u64 {
    1_767_225_600
}

fn default_piece() -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(16).unwrap_or(std::num::NonZeroUsize::MIN)
}

/// When to answer, and what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What a request must be for this rule.
    #[serde(default)]
    pub when: When,
    /// What the model says.
    #[serde(default)]
    pub answer: Answer,
    /// Instead of `answer`, what the model says to the user, then to the output of the tools it
    /// called, and so on; the last one stays.
    #[serde(default)]
    pub steps: Vec<Answer>,
    /// An error instead of an answer.
    pub refuse: Option<Refusal>,
    /// How the answer breaks.
    pub fault: Option<Fault>,
    #[serde(skip)]
    used: AtomicU32,
}

/// Conditions; all that are named must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The model that the request names.
    pub model: Option<String>,
    /// Text that the last user message contains.
    pub user: Option<String>,
    /// The whole text of the last user message.
    pub user_is: Option<String>,
    /// A regular expression that the last user message has a match for.
    pub user_matches: Option<Pattern>,
    /// Text that the last message, a tool's output, contains.
    pub tool_output: Option<String>,
    /// The whole text of the last message, a tool's output.
    pub tool_output_is: Option<String>,
    /// A regular expression that the last message, a tool's output, has a match for.
    pub tool_output_matches: Option<Pattern>,
    /// Which answer of the conversation it is to be; the first is 1.
    pub turn: Option<usize>,
    /// A tool that is offered; one in a namespace is `namespace__name`.
    pub tool: Option<String>,
    /// Text that the address of an image in the last user message contains.
    pub image: Option<String>,
    /// The name of the schema that the answer is to follow.
    pub schema: Option<String>,
    /// How often the rule may answer.
    pub times: Option<u32>,
}

/// A regular expression, in the syntax of the crate `regex-lite`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Pattern(regex_lite::Regex);

impl TryFrom<String> for Pattern {
    type Error = regex_lite::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        regex_lite::Regex::new(&text).map(Pattern)
    }
}

/// What the model says: reasoning first, then text, then calls.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// Its reasoning.
    pub reasoning: Option<String>,
    /// Its text; `{user}` stands for the last user text, `{tool_output}` for a tool's output, and
    /// `{tool_output/id}` for the member `id` of an output that is JSON (a pointer: RFC 6901).
    pub text: Option<String>,
    /// Where the request has a schema, a value that follows it instead of `text`. So it is also
    /// where the answer has neither text nor calls nor a refusal.
    pub structured: bool,
    /// Why it will not answer, as models say it.
    pub refusal: Option<String>,
    /// The tools it calls, in parallel.
    pub calls: Vec<Call>,
    /// Where the last user text names an offered tool, a call of it instead of `text` and `calls`.
    /// The JSON object behind the name is its arguments.
    pub call_named: bool,
    /// Why it stops early: `max_output_tokens` or `content_filter`.
    pub incomplete: Option<String>,
    /// Tokens read, as it reports them.
    pub input_tokens: u64,
    /// Of these, taken from a cache.
    pub cached_tokens: u64,
    /// Tokens made, as it reports them.
    pub output_tokens: u64,
    /// Of these, spent on reasoning.
    pub reasoning_tokens: u64,
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's name.
    pub name: String,
    /// Its arguments: a table, whose strings may stand for something as `text` may, or a string that is
    /// sent as it is. Without them, a value that follows the tool's schema.
    #[serde(default)]
    pub arguments: Value,
}

/// An HTTP error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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

impl Refusal {
    /// The error's code, whether the script names one or not.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or("mock_error")
    }
}

impl From<ApiError> for Refusal {
    fn from(ApiError { status, code, message, .. }: ApiError) -> Refusal {
        Refusal { status, code: code.map(Cow::into_owned), message, retry_after_s: None }
    }
}

/// How an answer breaks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens: the name of a fault, with its number if it has one, as in `huge_event:50`.
    pub kind: Named,
    /// After how many frames: the same as the number of a fault that counts frames.
    pub after: Option<u64>,
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
/// What it says when a tool has run that it called.
const ECHO_OUTPUT: &str = "The tool said: {tool_output}";

impl Script {
    /// The embedded model: it says back what it was told, calls a tool that the user names, and
    /// says back what the tool said.
    pub fn echo() -> Script {
        let output = Answer { text: Some(ECHO_OUTPUT.to_owned()), ..Answer::default() };
        let answer = Answer {
            text: Some(ECHO.to_owned()),
            structured: true,
            call_named: true,
            output_tokens: 24,
            ..Answer::default()
        };
        let told = When { tool_output: Some(String::new()), ..When::default() };
        Script {
            model: default_model(),
            piece: default_piece(),
            delay_ms: 0,
            first_token_ms: 0,
            tokens_per_second: None,
            jitter: 0.0,
            seed: 0,
            created: default_created(),
            later_system: false,
            rules: vec![Rule::new(told, output), Rule::new(When::default(), answer)],
        }
    }

    /// The form of a script, as a JSON schema.
    pub fn schema() -> String {
        format!("{:#}", schemars::schema_for!(Script).to_value())
    }

    /// Reads a script; a file that ends in `.json` is JSON, any other TOML.
    ///
    /// # Errors
    /// [`ScriptError`] names the file, and the key and line at fault.
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let failed = |reason: String| ScriptError { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let script: Script = match path.extension().is_some_and(|extension| extension == "json") {
            true => serde_json::from_str(&text).map_err(|error| failed(error.to_string())),
            false => toml::from_str(&text).map_err(|error| failed(format!("\n{error}"))),
        }?;
        script.checked().map_err(failed)
    }

    /// The script, or what is wrong with one that could be read.
    fn checked(self) -> Result<Script, String> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("`jitter` is {}; it has to be from 0 to 1", self.jitter));
        }
        if let Some(rate) = self.tokens_per_second.filter(|rate| rate.is_nan() || *rate <= 0.0) {
            return Err(format!("`tokens_per_second` is {rate}; it has to be more than 0"));
        }
        let wrong = self.rules.iter().zip(1..).find_map(|(rule, place)| {
            let wrong = rule.wrong()?;
            Some(format!("rule {place} has {wrong}"))
        });
        wrong.map_or(Ok(self), Err)
    }

    /// The first rule that fits what was asked.
    pub(super) fn rule(&self, asked: &Asked) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.fits(asked))
    }
}

impl Rule {
    fn new(when: When, answer: Answer) -> Rule {
        Rule { when, answer, steps: Vec::new(), refuse: None, fault: None, used: 0.into() }
    }

    /// What it has that does not go together.
    fn wrong(&self) -> Option<&'static str> {
        if !self.steps.is_empty() && self.answer != Answer::default() {
            return Some("both `answer` and `steps`");
        }
        let counted = self.fault.as_ref().filter(|fault| fault.after.is_some())?;
        let wrong = "an `after` for a fault that counts no frames, or has its number";
        (!counted.kind.takes_frames()).then_some(wrong)
    }

    /// What is said to what was asked.
    pub(super) fn answer(&self, asked: &Asked) -> &Answer {
        let last = self.steps.len().saturating_sub(1);
        self.steps.get(asked.steps.min(last)).unwrap_or(&self.answer)
    }

    /// Whether it fits; if it does, that counts as used.
    fn fits(&self, asked: &Asked) -> bool {
        let When { model, turn, tool, schema, .. } = &self.when;
        let output = asked.tool_output.as_deref();
        let named = asked.schema.as_ref().map(|(name, _)| name);
        let fits = model.as_ref().is_none_or(|model| *model == asked.model)
            && turn.is_none_or(|turn| turn == asked.answers + 1)
            && tool.as_ref().is_none_or(|tool| asked.tools.iter().any(|one| one.called == *tool))
            && schema.as_ref().is_none_or(|schema| Some(schema) == named)
            && contains(&self.when.image, Some(&asked.images))
            && contains(&self.when.user, Some(&asked.user))
            && is(&self.when.user_is, Some(&asked.user))
            && matches(&self.when.user_matches, Some(&asked.user))
            && contains(&self.when.tool_output, output)
            && is(&self.when.tool_output_is, output)
            && matches(&self.when.tool_output_matches, output);
        let times = self.when.times.unwrap_or(u32::MAX);
        fits && self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < times).then(|| used.saturating_add(1))
            })
            .is_ok()
    }
}

fn contains(wanted: &Option<String>, text: Option<&str>) -> bool {
    wanted.as_ref().is_none_or(|wanted| text.is_some_and(|text| text.contains(wanted)))
}

fn is(wanted: &Option<String>, text: Option<&str>) -> bool {
    wanted.as_ref().is_none_or(|wanted| text == Some(wanted))
}

fn matches(wanted: &Option<Pattern>, text: Option<&str>) -> bool {
    wanted.as_ref().is_none_or(|wanted| text.is_some_and(|text| wanted.0.is_match(text)))
}
