//! What is known of an exchange while it goes on: who asked what, how it was answered, what was lost
//! on the way. Whatever becomes of the exchange, when its entry is dropped it is logged and
//! recorded. Every head of an answer is made here, so that the record has it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use latimer_wire::json::{Object, Raw};
use latimer_wire::note::Notes;
use latimer_wire::responses::Usage;

use crate::answer::{Answer, build};
use crate::capture::Finished;
use crate::clock::unix_milliseconds;
use crate::gateway::Gateway;
use crate::headers;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole answer was given.
    Completed,
    /// The model stopped early, by a limit.
    Incomplete,
    /// The answer failed, before or while it was given.
    Failed,
    /// The client left.
    Cancelled,
}

impl Outcome {
    /// What the `status` of a whole response says; one without is complete.
    pub fn of(response: Raw<'_>) -> Outcome {
        match response.member_text("status").as_deref() {
            Some("incomplete") => Outcome::Incomplete,
            Some("failed") => Outcome::Failed,
            Some("cancelled") => Outcome::Cancelled,
            _ => Outcome::Completed,
        }
    }

    /// What the recording calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Incomplete => "incomplete",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// What is known of an exchange while it goes on. When it is dropped it is recorded.
pub(crate) struct Exchange {
    pub gateway: Arc<Gateway>,
    /// Its id, in the record and in the ids of what is answered.
    pub id: String,
    /// Whether the client says that it is Codex.
    pub is_codex: bool,
    method: Method,
    uri: Uri,
    began: Instant,
    first_byte_ms: Option<u64>,
    /// How often the backend was asked.
    pub attempts: u32,
    recorded_bytes: usize,
    left_out_bytes: usize,
    /// What was lost or changed.
    pub notes: Notes,
    usage: Option<Usage>,
    outcome: Outcome,
    status: Option<u16>,
    /// What the record will hold; none where nothing is recorded.
    finished: Option<Finished>,
}

impl Exchange {
    pub fn new(gateway: &Arc<Gateway>, head: &http::request::Parts) -> Self {
        Exchange {
            gateway: Arc::clone(gateway),
            id: uuid::Uuid::now_v7().simple().to_string(),
            is_codex: headers::is_codex(&head.headers),
            method: head.method.clone(),
            uri: head.uri.clone(),
            began: Instant::now(),
            first_byte_ms: None,
            attempts: 0,
            recorded_bytes: 0,
            left_out_bytes: 0,
            notes: Notes::default(),
            usage: None,
            outcome: Outcome::Cancelled,
            status: None,
            finished: gateway.recorder.is_some().then(|| Finished {
                timestamp_unix_ms: unix_milliseconds(),
                method: head.method.clone(),
                url: format!("http://{}{}", gateway.address, path_and_query(&head.uri)),
                request_headers: head.headers.clone(),
                ..Finished::default()
            }),
        }
    }

    /// The body of the request, decompressed.
    pub fn asked(&mut self, body: &Bytes) {
        if let Some(finished) = &mut self.finished {
            finished.request_body = body.clone();
        }
    }

    /// The body of the request turned out to be JSON, to its last byte.
    pub fn understood(&mut self) {
        if let Some(finished) = &mut self.finished {
            finished.is_json = true;
        }
    }

    /// The backend, as messages name it.
    pub fn hop(&self) -> String {
        self.gateway.upstream.host()
    }

    /// Keeps a piece of the answer for the record; the bytes are shared, not copied.
    pub fn keep(&mut self, bytes: &Bytes) {
        if self.first_byte_ms.is_none() {
            self.first_byte_ms = Some(self.began.elapsed().as_millis() as u64);
        }
        let Some(finished) = &mut self.finished else { return };
        let limit = self.gateway.settings.limits.recorded_bytes;
        if self.left_out_bytes > 0 || self.recorded_bytes + bytes.len() > limit {
            self.left_out_bytes += bytes.len();
            return;
        }
        self.recorded_bytes += bytes.len();
        finished.response_body.push(bytes.clone());
    }

    pub fn add_notes(&mut self, notes: Notes) {
        self.notes.extend(notes);
    }

    pub fn set_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// Says how it ended; the rest happens when it is dropped.
    pub fn close(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// What Latimer adds to the record.
    fn extra(&self) -> String {
        let mut extra = String::new();
        let mut object = Object::new(&mut extra)
            .text("id", &self.id)
            .text("outcome", self.outcome.name())
            .text("upstream", &self.gateway.upstream.address(""))
            .number("attempts", self.attempts.into())
            .number("duration_ms", self.began.elapsed().as_millis() as u64);
        if let Some(first_byte_ms) = self.first_byte_ms {
            object = object.number("first_byte_ms", first_byte_ms);
        }
        if self.left_out_bytes > 0 {
            object = object.number("left_out_bytes", self.left_out_bytes as u64);
        }
        object.with("notes", |out| self.notes.print(out)).end();
        extra
    }

    /// The head of an answer, with what every answer carries.
    pub fn head(&mut self, status: StatusCode, more: HeaderMap) -> http::response::Builder {
        let mut builder = Response::builder().status(status);
        if let Some(headers) = builder.headers_mut() {
            headers.extend(more);
            if let Ok(id) = HeaderValue::from_str(&self.id) {
                headers.entry("x-request-id").or_insert(id);
            }
            if let Some(notes) = headers::notes(&self.notes) {
                headers.insert("latimer-notes", notes);
            }
            if let Some(finished) = &mut self.finished {
                finished.response_headers = headers.clone();
            }
        }
        self.status = Some(status.as_u16());
        builder
    }

    /// An answer that is one piece.
    pub fn whole(
        mut self,
        status: StatusCode,
        more: HeaderMap,
        body: Bytes,
        outcome: Outcome,
    ) -> Response<Answer> {
        let head = self.head(status, more);
        self.keep(&body);
        self.close(outcome);
        build(head, Answer::Whole(Some(body)))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let usage = self.usage.unwrap_or_default();
        tracing::info!(
            method = self.method.as_str(),
            // Without the query, which may hold secrets.
            path = self.uri.path(),
            status = self.status,
            outcome = self.outcome.name(),
            ms = self.began.elapsed().as_millis() as u64,
            input_tokens = usage.input,
            output_tokens = usage.output,
            notes = self.notes.list().len(),
        );
        for note in self.notes.list() {
            // The details are words of the request; they are in the record.
            tracing::debug!(code = note.code, "note");
        }
        if let (Some(recorder), Some(finished)) = (&self.gateway.recorder, self.finished.take()) {
            recorder.record(Finished { status: self.status, extra: self.extra(), ..finished });
        }
    }
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |asked_for| asked_for.as_str())
}
