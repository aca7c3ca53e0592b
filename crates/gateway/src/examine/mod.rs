//! A server before the judge: black-box scenarios against any endpoint that speaks Responses or Chat
//! Completions. In: where it is. Out: what each answer breaks, or why a scenario was passed over.
//!
//! The scenarios are a table, and nearly all of them are only requests: what must hold follows from the
//! request, and stands in `latimer_wire::check`. What a server clearly refuses (an error in OpenAI's
//! shape) it does not offer, and that is no finding; a plain text it has to answer.

mod scenarios;
mod socket;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use latimer_wire::check::{Api, Exhibit, Finding, Place, Rule, compare, failure, judge};
use latimer_wire::json::Raw;
use latimer_wire::responses::Flavour;
use serde_json::{Map, Value, json};

use self::scenarios::{SCENARIOS, WRONG, Wrong};
use crate::config::{Settings, Target, Timeouts};
use crate::upstream::{Ask, Upstream};

/// What came of one scenario.
#[derive(Debug)]
pub struct Examined {
    /// The scenario: API, what it is about, how it was answered.
    pub name: String,
    /// What the answer breaks.
    pub findings: Vec<Finding>,
    /// Why nothing was judged.
    pub skipped: Option<String>,
}

/// Why a server could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// Nobody answers there.
    #[error("{0}. Is the server running, and is the address its own?")]
    Unreachable(String),
    /// Neither API is there.
    #[error(
        "{host} answers neither /responses ({responses}) nor /chat/completions ({chat}); the address \
         usually ends in /v1, and some servers need --model or --api-key-env"
    )]
    NoApi {
        /// The server.
        host: String,
        /// What it said to a Responses request.
        responses: String,
        /// What it said to a Chat request.
        chat: String,
    },
    /// The machine's certificates cannot be used.
    #[error("the trusted certificates of this machine cannot be used: {0}")]
    Certificates(String),
    /// There is no address.
    #[error("no address was given")]
    NoAddress,
}

/// Statuses by which a server says that it does not offer something.
const NOT_OFFERED: &[u16] = &[400, 404, 405, 422, 426, 501];

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How often a response that is made in the background is asked for, and how long between.
const POLLS_MAX: usize = 240;
const POLL: Duration = Duration::from_millis(250);
/// How much of an error's message is shown.
const SHOWN_CHARACTERS: usize = 100;
/// How much of a stream is read before the client leaves.
const LEFT_AFTER_BYTES: usize = 1;

/// Examines the server of `settings` in one API, or in both where it answers both.
///
/// # Errors
/// [`ExamineError`] when there is nothing to examine.
pub async fn examine(settings: Settings, api: Option<Api>) -> Result<Vec<Examined>, ExamineError> {
    let server = Server::new(settings)?;
    let mut examined = Vec::new();
    let mut refusals = Vec::new();
    for wanted in [Api::Responses, Api::Chat] {
        if api.is_some_and(|api| api != wanted) {
            continue;
        }
        match server.offers(wanted).await? {
            None => server.scenarios(wanted, &mut examined).await,
            Some(refusal) if api.is_none() => {
                let skipped = Some(format!("not offered: {refusal}"));
                let name = label(wanted).to_owned();
                examined.push(Examined { name, findings: Vec::new(), skipped });
                refusals.push(refusal);
            }
            // What was asked for by name has to be there.
            Some(_) => server.scenarios(wanted, &mut examined).await,
        }
    }
    match <[String; 2]>::try_from(refusals) {
        Ok([responses, chat]) => {
            Err(ExamineError::NoApi { host: server.upstream.host(), responses, chat })
        }
        Err(_) => Ok(examined),
    }
}

fn label(api: Api) -> &'static str {
    match api {
        Api::Responses => "responses",
        Api::Chat => "chat",
    }
}

fn path(api: Api) -> &'static str {
    match api {
        Api::Responses => "/responses",
        Api::Chat => "/chat/completions",
    }
}

/// What came of a request.
struct Heard {
    status: u16,
    body: Bytes,
}

impl Heard {
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The id of a response, if it can stand in a path.
    fn id(&self) -> Option<String> {
        let text = self.text();
        let id = Raw::parse(&text).ok()?.member_text("id")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~');
        (!id.is_empty() && id.chars().all(is_plain)).then(|| id.into_owned())
    }

    /// Whether it is a response on which work goes on.
    fn is_open(&self) -> bool {
        let text = self.text();
        let status = Raw::parse(&text).ok().and_then(|response| response.member_text("status"));
        status.is_some_and(|status| matches!(&*status, "queued" | "in_progress"))
    }

    /// The words of an error.
    fn refusal(&self) -> String {
        let text = self.text();
        let error = Raw::parse(&text).ok().and_then(|body| body.member("error"));
        let message = error.and_then(|error| error.member_text("message")).unwrap_or_default();
        let mut shown: String = message.chars().take(SHOWN_CHARACTERS).collect();
        if shown.len() < message.len() {
            shown.push('…');
        }
        format!("{} {shown}", self.status).trim_end().to_owned()
    }
}

struct Server {
    upstream: Arc<Upstream>,
    model: String,
    headers: HeaderMap,
    flavour: Flavour,
    /// How long the next piece of an answer may take.
    idle: Duration,
}

impl Server {
    fn new(settings: Settings) -> Result<Server, ExamineError> {
        let Settings { upstream, limits, timeouts, flavour, .. } = settings;
        let Target { url, api_key, model, .. } = upstream.ok_or(ExamineError::NoAddress)?;
        let upstream = Upstream::new(url, &limits, &timeouts)
            .map_err(|error| ExamineError::Certificates(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let bearer = api_key.and_then(|key| format!("Bearer {key}").parse().ok());
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let model = model.unwrap_or_else(|| "default".to_owned());
        let idle = Timeouts::of(timeouts.idle_ms);
        Ok(Server { upstream: Arc::new(upstream), model, headers, flavour, idle })
    }

    fn post(&self, path: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Ask {
        Ask::post(path, self.headers.clone(), body.into())
    }

    fn get(&self, path: impl Into<Cow<'static, str>>) -> Ask {
        Ask { method: Method::GET, ..self.post(path, Bytes::new()) }
    }

    async fn hear(&self, ask: &Ask) -> Result<Heard, String> {
        let reply = self.upstream.send(ask).await.map_err(|error| error.to_string())?;
        let status = reply.head.status.as_u16();
        let body = reply.body.collect(ANSWER_BYTES_MAX, self.idle).await?;
        Ok(Heard { status, body })
    }

    /// A body of the table, with the model and the way of answering.
    fn body(&self, body: &str, stream: bool, api: Api) -> String {
        let mut more = vec![("model", json!(self.model))];
        if stream {
            more.push(("stream", json!(true)));
        }
        if stream && api == Api::Chat {
            more.push(("stream_options", json!({"include_usage": true})));
        }
        with(body, more)
    }

    /// What the server says against an API that it does not have.
    async fn offers(&self, api: Api) -> Result<Option<String>, ExamineError> {
        let body = text_body(api);
        let ask = self.post(path(api), self.body(body, false, api));
        let reply = self.upstream.send(&ask).await;
        let reply = reply.map_err(|error| ExamineError::Unreachable(error.to_string()))?;
        let status = reply.head.status.as_u16();
        if !matches!(status, 404 | 405 | 501) {
            return Ok(None);
        }
        let body = reply.body.collect(ANSWER_BYTES_MAX, self.idle).await.unwrap_or_default();
        Ok(Some(Heard { status, body }.refusal()))
    }

    async fn scenarios(&self, api: Api, examined: &mut Vec<Examined>) {
        for scenario in SCENARIOS {
            let is_text = scenario.name == "text";
            let mut bodies = Vec::new();
            for stream in [true, false] {
                let form = if stream { "streamed" } else { "whole" };
                let name = format!("{}: {}, {form}", label(api), scenario.name);
                let [responses, chat] = scenario.bodies;
                let body = if api == Api::Chat { chat } else { responses };
                let body = self.body(body, stream, api);
                let heard = self.hear(&self.post(path(api), body.clone())).await;
                bodies.extend(heard.as_ref().ok().map(|heard| heard.body.clone()));
                examined.push(judged(name, heard, api, &body, is_text, self.flavour));
            }
            if let ([streamed, whole], true, Api::Responses) = (bodies.as_slice(), is_text, api) {
                let name = format!("{}: streamed against whole", label(api));
                examined.push(Examined { name, findings: compare(streamed, whole), skipped: None });
            }
        }
        for wrong in WRONG {
            examined.push(self.wrong(api, wrong).await);
        }
        examined.push(self.leaving(api).await);
        if api == Api::Responses {
            self.stateful(examined).await;
            self.websocket(examined).await;
        }
    }

    /// A request that must be refused.
    async fn wrong(
        &self,
        api: Api,
        Wrong { name, bodies: [responses, chat], path: at, status }: &Wrong,
    ) -> Examined {
        let body = if api == Api::Chat { chat } else { responses };
        let body = self.body(body, false, api);
        let name = format!("{}: {name}", label(api));
        let ask = self.post(at.unwrap_or(path(api)), body);
        let heard = match self.hear(&ask).await {
            Ok(heard) => heard,
            Err(reason) => return unanswered(name, reason),
        };
        let mut findings = Vec::new();
        if heard.status != *status {
            findings
                .push(finding(Rule::RefusalMissing, format!("the answer is {}", heard.refusal())));
        }
        if heard.status >= 400 {
            let status = Some(heard.status);
            findings.extend(judge(&Exhibit {
                status,
                flavour: self.flavour,
                body: &heard.body,
                ..Exhibit::default()
            }));
        }
        Examined { name, findings, skipped: None }
    }

    /// A client that leaves in the middle of a stream, and one that comes after it.
    async fn leaving(&self, api: Api) -> Examined {
        let name = format!("{}: after a client has left", label(api));
        let body = self.body(text_body(api), true, api);
        match self.upstream.send(&self.post(path(api), body.clone())).await {
            Ok(reply) => drop(reply.body.beginning(LEFT_AFTER_BYTES, self.idle).await),
            Err(error) => return unanswered(name, error.to_string()),
        }
        let body = self.body(text_body(api), false, api);
        let heard = self.hear(&self.post(path(api), body.clone())).await;
        judged(name, heard, api, &body, true, self.flavour)
    }

    /// What only a server that stores responses can do.
    async fn stateful(&self, examined: &mut Vec<Examined>) {
        let api = Api::Responses;
        let name = |name: &str| format!("{}: {name}", label(api));
        self.background(examined).await;
        let body = self.body(text_body(api), false, api);
        let stored = self.hear(&self.post(path(api), body)).await;
        let Some(id) = stored.ok().and_then(|heard| heard.id()) else { return };
        let body = self.body(text_body(api), false, api);
        let body = with(&body, vec![("previous_response_id", json!(id))]);
        let heard = self.hear(&self.post(path(api), body.clone())).await;
        examined.push(judged(name("continuation"), heard, api, &body, false, self.flavour));
        let heard = self.hear(&self.get(format!("/responses/{id}"))).await;
        examined.push(judged(name("retrieval"), heard, api, "", false, self.flavour));
    }

    /// What only a server does that makes responses in the background: one is polled to its end, and
    /// another is ended.
    async fn background(&self, examined: &mut Vec<Examined>) {
        let api = Api::Responses;
        let name = |name: &str| format!("{}: background, {name}", label(api));
        let body = with(&self.body(text_body(api), false, api), vec![("background", json!(true))]);
        let mut heard = self.hear(&self.post(path(api), body.clone())).await;
        let id = heard.as_ref().ok().and_then(Heard::id);
        for _ in 0..POLLS_MAX {
            let (Some(id), true) = (&id, heard.as_ref().is_ok_and(Heard::is_open)) else { break };
            tokio::time::sleep(POLL).await;
            heard = self.hear(&self.get(format!("/responses/{id}"))).await;
        }
        examined.push(judged(name("polled"), heard, api, &body, false, self.flavour));
        let heard = self.hear(&self.post(path(api), body)).await;
        let Some(id) = heard.ok().and_then(|heard| heard.id()) else { return };
        let heard = self.hear(&self.post(format!("/responses/{id}/cancel"), "")).await;
        examined.push(judged(name("cancelled"), heard, api, "", false, self.flavour));
    }
}

/// A body with more members; one that is no object stays as it is.
fn with(body: &str, more: Vec<(&str, Value)>) -> String {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(body) else {
        return body.to_owned();
    };
    members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Value::Object(members).to_string()
}

fn text_body(api: Api) -> &'static str {
    let [responses, chat] = SCENARIOS.first().map(|text| text.bodies).unwrap_or_default();
    if api == Api::Chat { chat } else { responses }
}

fn finding(rule: Rule, detail: String) -> Finding {
    let place = Place { what: "the answer".to_owned(), ..Place::default() };
    Finding { rule, place, detail, times: 1 }
}

fn unanswered(name: String, reason: String) -> Examined {
    Examined { name, findings: vec![finding(Rule::NotAnswered, reason)], skipped: None }
}

/// Judges an answer. `must`: it may not be refused.
fn judged(
    name: String,
    heard: Result<Heard, String>,
    api: Api,
    request: &str,
    must: bool,
    flavour: Flavour,
) -> Examined {
    let heard = match heard {
        Ok(heard) => heard,
        Err(reason) => return unanswered(name, reason),
    };
    let mut findings = judge(&Exhibit {
        api: Some(api),
        flavour,
        request: Raw::parse(request).ok(),
        status: Some(heard.status),
        body: &heard.body,
    });
    let refused = heard.status >= 400;
    if refused && (must || !NOT_OFFERED.contains(&heard.status)) {
        findings
            .insert(0, finding(Rule::NotAnswered, format!("the answer is {}", heard.refusal())));
    }
    if let Some(failure) = failure(&heard.body).filter(|_| must && !refused) {
        findings.insert(0, finding(Rule::NotAnswered, format!("the answer fails: {failure}")));
    }
    let clearly = refused && findings.is_empty();
    let skipped = clearly.then(|| format!("not offered: {}", heard.refusal()));
    Examined { name, findings, skipped }
}
