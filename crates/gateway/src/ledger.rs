//! What is known of an exchange while it goes on: who asked what, how it was answered, what was lost
//! on the way. Whatever becomes of the exchange, when its entry is dropped it is logged and
//! recorded. Every head of an answer is made here, so that the record has it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use latimer_probe::record::account::{Account, Control, Outcome, Passage, Socket};
use latimer_probe::redact;
use latimer_wire::note::Notes;
use latimer_wire::responses::Usage;
use tokio::sync::oneshot;

use latimer_store::Tenant;

use crate::access;
use crate::answer::{Answer, build};
use crate::body::Received;
use crate::capture::Finished;
use crate::clock::{microseconds, unix_milliseconds};
use crate::gateway::Gateway;
use crate::headers;
use crate::route::Door;
use crate::upstream::{Heard, Passing};

/// Ready when an exchange is recorded.
pub(crate) type Written = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long the end of an answer waits for its record at most.
const WRITTEN_WAIT: Duration = Duration::from_secs(5);

/// What is known of an exchange while it goes on. When it is dropped it is recorded.
pub(crate) struct Exchange {
    pub gateway: Arc<Gateway>,
    /// Its id, in the record and in the ids of what is answered.
    pub id: String,
    /// Whether the client says that it is Codex.
    pub is_codex: bool,
    /// Whose it is.
    pub tenant: Tenant,
    /// Its place on a WebSocket, where it came over one.
    socket: Option<Socket>,
    method: Method,
    uri: Uri,
    began: Instant,
    /// When it ended, where that was before it is dropped.
    ended: Option<Instant>,
    /// Which way it takes.
    pub passage: Passage,
    /// How often the backend was asked.
    pub attempts: u32,
    response_bytes: usize,
    recorded_bytes: usize,
    left_out_bytes: usize,
    request_bytes: Option<usize>,
    /// The body of the request, where it goes on as it comes.
    passing: Option<Passing>,
    /// What was lost or changed.
    pub notes: Notes,
    usage: Option<Usage>,
    trailers: BTreeMap<String, String>,
    outcome: Outcome,
    status: Option<u16>,
    /// What the record will hold; none where nothing is recorded.
    finished: Option<Finished>,
}

impl Exchange {
    pub fn new(gateway: &Arc<Gateway>, head: &http::request::Parts, door: Door) -> Self {
        Exchange {
            gateway: Arc::clone(gateway),
            id: uuid::Uuid::now_v7().simple().to_string(),
            is_codex: headers::is_codex(&head.headers),
            tenant: access::tenant(&head.headers),
            socket: head.extensions.get::<Socket>().cloned(),
            method: head.method.clone(),
            uri: head.uri.clone(),
            began: Instant::now(),
            ended: None,
            passage: Passage {
                door: door.name().to_owned(),
                way: None,
                dialect: Some(gateway.dialect().name().to_owned()),
            },
            attempts: 0,
            response_bytes: 0,
            recorded_bytes: 0,
            left_out_bytes: 0,
            request_bytes: None,
            passing: None,
            notes: Notes::default(),
            usage: None,
            trailers: BTreeMap::new(),
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

    /// The id of the response that is made in it.
    pub fn response_id(&self) -> String {
        format!("resp_{}", self.id)
    }

    /// The body of the request.
    pub fn asked(&mut self, body: &Received) {
        self.request_bytes = Some(body.raw.len());
        if let Some(finished) = &mut self.finished {
            finished.request_body = body.plain.clone();
        }
    }

    /// How long the request was on the wire, where its body was not.
    pub fn has_request_bytes(&mut self, bytes: usize) {
        self.request_bytes = Some(bytes);
    }

    /// The body of the request goes on as it comes; the record will have of it what was heard.
    pub fn overhears(&mut self, passing: Passing) {
        self.passing = Some(passing);
    }

    /// A control frame passed on the WebSocket that it came over.
    pub fn passed(&mut self, frame: Control, now: Instant) {
        let at_us = microseconds(now - self.began);
        if let Some(socket) = &mut self.socket {
            socket.passed(Control { at_us, ..frame });
        }
    }

    /// So far this is its end, however long it stays open.
    pub fn ends(&mut self, now: Instant) {
        self.ended = Some(now);
    }

    /// Where the request went, in the record.
    pub fn is_at(&mut self, url: String) {
        if let Some(finished) = &mut self.finished {
            finished.url = url;
        }
    }

    /// What was answered, in the record.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status.as_u16());
        if let Some(finished) = &mut self.finished {
            finished.response_headers = headers.clone();
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

    /// Keeps a piece of the answer, which leaves at this time, for the record; the bytes are shared,
    /// not copied.
    pub fn keep(&mut self, bytes: &Bytes, now: Instant) {
        self.keep_as(bytes, bytes.len(), now);
    }

    /// The same for a piece that was of another length on the wire.
    pub fn keep_as(&mut self, bytes: &Bytes, wire_bytes: usize, now: Instant) {
        self.response_bytes += wire_bytes;
        let Some(finished) = &mut self.finished else { return };
        let limit = self.gateway.settings.limits.recorded_bytes;
        if self.left_out_bytes > 0 || self.recorded_bytes + bytes.len() > limit {
            self.left_out_bytes += bytes.len();
            return;
        }
        self.recorded_bytes += bytes.len();
        finished.keep(bytes.clone(), microseconds(now - self.began));
    }

    pub fn add_notes(&mut self, notes: Notes) {
        self.notes.extend(notes);
    }

    pub fn set_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// What came behind the answer's body. It is written down as headers are: what came more than once
    /// is one member.
    pub fn trailed(&mut self, trailers: &HeaderMap) {
        let is_revealed = self.gateway.settings.recorder.reveal;
        for (name, value) in trailers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let shown = if is_revealed { &*value } else { redact::header(name.as_str(), &value) };
            let so_far = self.trailers.entry(name.to_string());
            so_far.and_modify(|all| all.extend([", ", shown])).or_insert_with(|| shown.to_owned());
        }
    }

    /// Says how it ended; the rest happens when it is dropped. Where the end of an answer has to wait
    /// until the exchange is recorded, this is for what: it is ready as well when that cannot be.
    pub fn close(mut self, outcome: Outcome) -> Option<Written> {
        self.outcome = outcome;
        let finished = self.finished.as_mut()?;
        if !self.gateway.settings.recorder.strict {
            return None;
        }
        let (waiting, written) = oneshot::channel();
        finished.waiting = Some(waiting);
        Some(Box::pin(async {
            // A disk that hangs must not hold up traffic for ever.
            let _ = tokio::time::timeout(WRITTEN_WAIT, written).await;
        }))
    }

    fn duration(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now) - self.began
    }

    /// What Latimer notes down in the record.
    fn account(&mut self) -> Account {
        let mut account = Account {
            id: Some(self.id.clone()),
            outcome: Some(self.outcome),
            route: Some(std::mem::take(&mut self.passage)),
            upstream: Some(self.gateway.upstream.address("")),
            attempts: Some(self.attempts),
            duration_us: Some(microseconds(self.duration())),
            request_bytes: self.request_bytes.map(|bytes| bytes as u64),
            response_bytes: Some(self.response_bytes as u64),
            left_out_bytes: self.left_out_bytes as u64,
            websocket: self.socket.take(),
            trailers: std::mem::take(&mut self.trailers),
            ..Account::default()
        };
        account.used(self.usage);
        account.remark(&self.notes);
        account
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
    pub async fn whole(
        mut self,
        status: StatusCode,
        more: HeaderMap,
        body: Bytes,
        outcome: Outcome,
    ) -> Response<Answer> {
        let head = self.head(status, more);
        self.keep(&body, Instant::now());
        if let Some(written) = self.close(outcome) {
            written.await;
        }
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
            ms = self.duration().as_millis() as u64,
            input_tokens = usage.input,
            output_tokens = usage.output,
            notes = self.notes.list().len(),
        );
        for note in self.notes.list() {
            // The details are words of the request; they are in the record.
            tracing::debug!(code = note.code, "note");
        }
        // From here on nobody waits for the rest of the request.
        let heard = self.passing.take().map(|passing| passing.leave());
        let Some(mut finished) = self.finished.take() else { return };
        let mut account = self.account();
        if let Some(heard) = heard {
            overheard(heard, &mut finished, &mut account);
        }
        if let Some(recorder) = &self.gateway.recorder {
            recorder.record(Finished { status: self.status, account, ..finished });
        }
    }
}

/// Takes over what was heard of a request's body that went on as it came.
fn overheard(heard: Heard, finished: &mut Finished, account: &mut Account) {
    if heard.is_broken && account.outcome == Some(Outcome::Failed) {
        account.outcome = Some(Outcome::Cancelled);
    }
    account.request_bytes = Some((heard.kept.len() + heard.left_out_bytes) as u64);
    account.request_left_out_bytes = heard.left_out_bytes as u64;
    account.is_request_unfinished = !heard.is_whole;
    finished.request_body = heard.kept;
    finished.is_overheard = true;
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |asked_for| asked_for.as_str())
}
