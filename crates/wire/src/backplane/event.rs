//! What an agent says while it works: one event at a time, each with the time it happened.

use super::contract::{Field, Json, Members, Taking, put_all, tagged};
use super::time::Time;
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::path::Path;

tagged! {
    /// What happened.
    AgentEventKind by "type" {
        /// The work begins.
        RunStarted = "run_started" {
            /// In words.
            message: String,
        }
        /// The work is over.
        RunCompleted = "run_completed" {
            /// In words.
            message: String,
        }
        /// More of a message.
        AssistantDelta = "assistant_delta" {
            /// What comes after what came before.
            text: String,
        }
        /// A message, all of it.
        AssistantMessage = "assistant_message" {
            /// The message.
            text: String,
        }
        /// A tool is called.
        ToolCall = "tool_call" {
            /// Which.
            tool_name(required): String,
            /// Tells this call from others.
            tool_use_id: Option<String>,
            /// The call that led to this one.
            parent_tool_use_id: Option<String>,
            /// What it is called with.
            input: Json,
        }
        /// A tool has answered.
        ToolResult = "tool_result" {
            /// Which.
            tool_name(required): String,
            /// The call that is answered.
            tool_use_id: Option<String>,
            /// What it said.
            output: Json,
            /// Whether it failed.
            is_error: bool,
        }
        /// A file is not what it was.
        FileChanged = "file_changed" {
            /// Which.
            path: String,
            /// How, in words.
            summary: String,
        }
        /// A command was run.
        CommandExecuted = "command_executed" {
            /// Which.
            command: String,
            /// How it ended.
            exit_code: Option<i32>,
            /// The beginning of what it printed.
            output_preview: Option<String>,
        }
        /// Something to know.
        Warning = "warning" {
            /// In words.
            message: String,
        }
        /// Something failed.
        Error = "error" {
            /// In words.
            message: String,
            /// For programs.
            error_code: Option<String>,
        }
    }
}

/// One event.
///
/// ```
/// use latimer_wire::backplane::{AgentEvent, AgentEventKind};
/// let json = r#"{"ts":"2026-01-01T00:00:00Z","type":"assistant_delta","text":"Hi","mood":"calm"}"#;
/// let event = AgentEvent::parse(json)?;
/// assert_eq!(event.kind, AgentEventKind::AssistantDelta { text: "Hi".to_owned() });
/// assert_eq!(event.to_json(), json, "what is not known is kept");
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AgentEvent {
    /// When it happened.
    pub ts: Time,
    /// What happened.
    pub kind: AgentEventKind,
    /// What else there is to say of it.
    pub ext: Members,
    /// Members that the contract does not name, as they came.
    pub rest: Members,
}

impl AgentEvent {
    /// An event without more to say of it.
    pub fn new(ts: Time, kind: AgentEventKind) -> Self {
        AgentEvent { ts, kind, ext: Members::new(), rest: Members::new() }
    }

    /// Reads it from JSON text.
    ///
    /// # Errors
    /// A 400 that names the member at fault.
    pub fn parse(json: &str) -> Result<Self, ApiError> {
        AgentEvent::of(Raw::parse(json)?, None)
    }

    /// Its JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }

    pub(super) fn of(value: Raw<'_>, path: Option<Path<'_>>) -> Result<Self, ApiError> {
        let mut taking = Taking::new(value, path)?;
        let ts = taking.take("ts")?;
        let kind = AgentEventKind::take(&mut taking)?;
        let ext: Option<Members> = taking.take("ext")?;
        Ok(AgentEvent { ts, kind, ext: ext.unwrap_or_default(), rest: taking.rest() })
    }
}

impl Field for AgentEvent {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        AgentEvent::of(value, Some(path))
    }

    fn print(&self, out: &mut String) {
        let object = Object::new(out).text("ts", self.ts.as_str());
        let object = put_all(self.kind.put(object), &self.rest);
        match self.ext.is_empty() {
            true => object.end(),
            false => object.with("ext", |out| self.ext.print(out)).end(),
        }
    }
}
