//! The sound answer that a fault befalls, and what can be done to it. In: its frames, and where the
//! fault strikes. Out: steps.

use bytes::Bytes;
use latimer_wire::backplane::{AgentEvent, AgentEventKind, Message, Time};
use latimer_wire::sse;
use serde_json::{Value, json};

use super::play::Step;
use super::told::{Form, Manner, message};
use crate::config::Dialect;

/// The kind of an event that no client knows.
const UNKNOWN: &str = "response.mock.unknown";
pub(super) const HTML: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
/// An answer that must never reach anybody.
pub(super) const STOLEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 18\r\n\r\n{\"stolen\":\"bytes\"}";
/// Seconds, in `Retry-After`.
const RETRY_AFTER_S: &str = "7";
/// The error that streams end in.
const ERROR: (&str, &str) = ("server_error", "The mock ran out of luck.");

/// The sound answer that a fault befalls. An answer that comes whole counts as one frame.
pub(super) struct Scene {
    pub frames: Vec<String>,
    pub manner: Manner,
    /// After how many frames it happens.
    pub at: usize,
    /// The fault's number.
    pub number: u64,
}

impl Scene {
    pub fn head(&self) -> Step {
        self.head_with(None)
    }

    pub fn head_with(&self, length: Option<u64>) -> Step {
        let kind = match self.manner.form {
            Form::Stream => "text/event-stream",
            Form::Whole | Form::Lines => "application/json",
        };
        Step::Head { status: 200, headers: vec![("content-type", kind.to_owned())], length }
    }

    pub fn body(&self) -> Bytes {
        self.frames.concat().into()
    }

    /// The frames before the fault, and those behind it.
    fn parts(&self) -> (&[String], &[String]) {
        self.frames.split_at_checked(self.at).unwrap_or((&self.frames, &[]))
    }

    /// What was sound, then this.
    pub fn begun<const N: usize>(&self, then: [Step; N]) -> Vec<Step> {
        [vec![self.head()], said(self.parts().0), then.to_vec()].concat()
    }

    /// What is sound, with this in its middle.
    pub fn between<const N: usize>(&self, these: [Step; N]) -> Vec<Step> {
        let (before, behind) = self.parts();
        [vec![self.head()], said(before), these.to_vec(), said(behind), vec![Step::End]].concat()
    }

    /// The frame at which it happens; of an answer that is over, its last.
    pub fn frame(&self) -> &str {
        self.parts().1.first().or(self.frames.last()).map_or("", String::as_str)
    }

    pub fn half(&self) -> Bytes {
        let chars = self.frame().chars().count();
        self.frame().chars().take(chars / 2).collect::<String>().into()
    }

    pub fn event(&self, kind: &str, data: &str) -> Bytes {
        let named = self.manner.dialect != Dialect::Chat && !kind.is_empty();
        let mut frame = String::new();
        match self.manner.form {
            Form::Stream | Form::Whole => sse::encode(&mut frame, named.then_some(kind), data),
            Form::Lines => frame = format!("{data}\n"),
        }
        frame.into()
    }

    /// An event of a kind that nobody knows.
    pub fn unknown(&self) -> Bytes {
        let kind = if self.manner.dialect == Dialect::Backplane { "t" } else { "type" };
        self.event(UNKNOWN, &json!({kind: UNKNOWN}).to_string())
    }

    /// An error in the form of a dialect.
    pub fn error(&self, dialect: Dialect) -> Bytes {
        let (code, text) = ERROR;
        match dialect {
            Dialect::Backplane => {
                let (text, code) = (text.to_owned(), Some(code.to_owned()));
                let kind = AgentEventKind::Error { message: text, error_code: code };
                let event = Box::new(AgentEvent::new(Time::default(), kind));
                message(&Message::Event { ref_id: None, event }, self.manner.form).into()
            }
            Dialect::Responses if self.manner.form != Form::Whole => {
                let error = json!({"type": "error", "code": code, "message": text, "param": null,
                    "sequence_number": self.at});
                self.event("error", &error.to_string())
            }
            Dialect::Chat | Dialect::Responses => self.framed(&error(text, code)),
        }
    }

    /// An object as a frame without a name, or as what it is in an answer that comes whole.
    fn framed(&self, object: &Value) -> Bytes {
        match self.manner.form {
            Form::Whole => object.to_string().into(),
            Form::Stream | Form::Lines => self.event("", &object.to_string()),
        }
    }

    /// So many mebibytes as the number says.
    pub fn fill(&self, unit: &[u8]) -> Step {
        Step::Fill(Bytes::copy_from_slice(unit), self.number << 20)
    }

    pub fn status(&self) -> Vec<Step> {
        let status = u16::try_from(self.number).unwrap_or(500);
        let mut headers = vec![("content-type", "application/json"), ("x-request-id", "req_mock")];
        headers.extend([429, 503].contains(&status).then_some(("retry-after", RETRY_AFTER_S)));
        whole(status, &headers, &error(ERROR.1, "mock_error").to_string())
    }

    /// A frame with a member that nobody knows, and that is long.
    pub fn huge(&self) -> Vec<Step> {
        let (before, behind) = self.parts();
        let (open, rest) = self.frame().split_once('{').unwrap_or_default();
        let long = [
            Step::Say(format!("{open}{{\"padding\":\"").into()),
            self.fill(b"a"),
            Step::Say(format!("\",{rest}").into()),
        ];
        let behind = said(behind.get(1..).unwrap_or_default());
        [vec![self.head()], said(before), long.to_vec(), behind, vec![Step::End]].concat()
    }

    pub fn bomb(&self) -> Vec<Step> {
        let Step::Head { status, mut headers, length } = self.head() else { return Vec::new() };
        headers.push(("content-encoding", "gzip".to_owned()));
        let head = Step::Head { status, headers, length };
        vec![head, Step::Gzip, self.fill(b"\n"), Step::Say(self.body()), Step::End]
    }

    pub fn huge_header(&self) -> Vec<Step> {
        let open = Step::Raw(Bytes::from_static(b"HTTP/1.1 200 OK\r\nx-padding: "));
        let kibibyte = Bytes::from("a".repeat(1 << 10));
        let long = (0..self.number).map(|_| Step::Raw(kibibyte.clone()));
        let end = Step::Raw(Bytes::from_static(b"\r\ncontent-length: 0\r\n\r\n"));
        [open].into_iter().chain(long).chain([end]).collect()
    }
}

fn said(frames: &[String]) -> Vec<Step> {
    frames.iter().map(|frame| Step::Say(frame.clone().into())).collect()
}

/// An answer that comes whole.
pub(super) fn whole(status: u16, headers: &[(&'static str, &str)], body: &str) -> Vec<Step> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let head = Step::Head { status, headers, length: Some(body.len() as u64) };
    vec![head, Step::Say(body.to_owned().into())]
}

/// An error in OpenAI's shape.
fn error(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}})
}
