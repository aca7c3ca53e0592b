//! What a control plane and an agent say to each other: one JSON object a line, told apart by `t`.
//! The agent begins with `hello`, is given a `run`, answers with `event`s and ends with `final` or
//! `fatal`. Over HTTP the same things are server-sent events.

use super::capability::CapabilityManifest;
use super::contract::{Field, Taking, tagged};
use super::event::AgentEvent;
use super::order::WorkOrder;
use super::receipt::{BackendIdentity, CONTRACT_VERSION, ExecutionMode, Receipt};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::sse;

tagged! {
    /// One message.
    Message by "t" {
        /// Who is there, and which contract it speaks.
        Hello = "hello" {
            /// The contract.
            contract_version(required): String,
            /// Who.
            backend: BackendIdentity,
            /// What it is able to do.
            capabilities: CapabilityManifest,
            /// Whether it is spoken to in its own dialect.
            mode: ExecutionMode,
        }
        /// Work to be done.
        Run = "run" {
            /// The run's id, which all that is said of it names.
            id(required): String,
            /// The work.
            work_order(required): Box<WorkOrder>,
        }
        /// Something happened.
        Event = "event" {
            /// The run.
            ref_id: Option<String>,
            /// What.
            event(required): Box<AgentEvent>,
        }
        /// The run is over.
        Final = "final" {
            /// The run.
            ref_id: Option<String>,
            /// What it did.
            receipt(required): Box<Receipt>,
        }
        /// The run cannot go on.
        Fatal = "fatal" {
            /// The run, where there is one yet.
            ref_id: Option<String>,
            /// Why, in words.
            error: String,
            /// Why, for programs.
            error_code: Option<String>,
        }
    }
}

impl Message {
    /// Reads a line.
    ///
    /// ```
    /// use latimer_wire::backplane::Message;
    /// let line = r#"{"t":"fatal","ref_id":null,"error":"no model"}"#;
    /// assert!(matches!(Message::parse(line)?, Message::Fatal { error, .. } if error == "no model"));
    /// # Ok::<(), latimer_wire::error::ApiError>(())
    /// ```
    ///
    /// # Errors
    /// A 400 that names the member at fault.
    pub fn parse(line: &str) -> Result<Self, ApiError> {
        Message::take(&mut Taking::new(Raw::parse(line)?, None)?)
    }

    /// Reads what an event of a stream holds: a message as it stands on a line, or the bare event or
    /// receipt.
    ///
    /// # Errors
    /// A 400 that names the member at fault.
    pub fn read(data: &str) -> Result<Self, ApiError> {
        let raw = Raw::parse(data)?;
        if raw.member("t").is_some() {
            return Message::parse(data);
        }
        if raw.member("type").is_some() {
            let event = Box::new(AgentEvent::of(raw, None)?);
            return Ok(Message::Event { ref_id: None, event });
        }
        let receipt = Box::new(Receipt::parse(data)?);
        Ok(Message::Final { ref_id: None, receipt })
    }

    /// Appends it as a line, its line end included.
    pub fn print_line(&self, out: &mut String) {
        let from = out.len();
        self.put(Object::new(out)).end();
        // In JSON a line end can only stand between tokens, where a space does as well.
        if out.get(from..).is_some_and(|line| line.contains(['\n', '\r'])) {
            let line = out.split_off(from).replace(['\n', '\r'], " ");
            out.push_str(&line);
        }
        out.push('\n');
    }

    /// Appends it as a server-sent event: the bare event under its type, the receipt as `receipt`,
    /// anything else as it would stand on a line.
    pub fn print_frame(&self, out: &mut String) {
        match self {
            Message::Event { event, .. } => {
                sse::encode(out, Some(event.kind.name()), &event.to_json())
            }
            Message::Final { receipt, .. } => sse::encode(out, Some("receipt"), &receipt.to_json()),
            other => {
                let mut line = String::new();
                other.print_line(&mut line);
                sse::encode(out, Some(other.name()), line.trim_end());
            }
        }
    }

    /// The run that it speaks of, where it names one.
    pub fn ref_id(&self) -> Option<&str> {
        match self {
            Message::Event { ref_id, .. }
            | Message::Final { ref_id, .. }
            | Message::Fatal { ref_id, .. } => ref_id.as_deref(),
            _ => None,
        }
    }

    /// Whether nothing follows it.
    pub fn is_last(&self) -> bool {
        matches!(self, Message::Final { .. } | Message::Fatal { .. })
    }

    /// Whether a contract is one that is spoken here: the same before the last dot.
    pub fn is_spoken(contract_version: &str) -> bool {
        let major = |version: &str| version.rsplit_once('.').map(|(major, _)| major.to_owned());
        major(contract_version).is_some() && major(contract_version) == major(CONTRACT_VERSION)
    }
}

impl<T: Field> Field for Box<T> {
    fn read(value: Raw<'_>, path: crate::path::Path<'_>) -> Result<Self, ApiError> {
        T::read(value, path).map(Box::new)
    }

    fn print(&self, out: &mut String) {
        (**self).print(out);
    }
}
