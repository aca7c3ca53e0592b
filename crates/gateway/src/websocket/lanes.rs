//! The conversations on one WebSocket. Each lane answers one request at a time, in their order; lanes
//! answer beside each other. A lane holds what its last response leaves to be continued, where nobody
//! stores it, and lets go of it when a continuation fails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use latimer_probe::record::account::Socket;
use latimer_wire::error::ApiError;
use latimer_wire::responses::socket::{Address, ClientEvent, Held, Posted, Wish};
use latimer_wire::responses::{Flavour, Status};

use super::answering::{Answering, Ended, Told};
use crate::exchange;
use crate::flavour;
use crate::gateway::Gateway;
use crate::route::Door;

/// The conversations on one WebSocket.
pub(super) struct Lanes {
    gateway: Arc<Gateway>,
    /// In which each answer is told.
    flavour: Flavour,
    /// What each request carries.
    headers: HeaderMap,
    /// Where the client's last message stands.
    place: Socket,
    lanes: Vec<Lane>,
    /// Whose turn it is to speak.
    turn: usize,
    /// What is said when all is said.
    last_words: Option<String>,
}

/// One conversation.
#[derive(Default)]
struct Lane {
    stream_id: Option<String>,
    held: Option<Held>,
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
}

/// A request that waits for its lane.
struct Waiting {
    text: String,
    place: Socket,
}

/// A request that is being answered.
struct Running {
    answering: Answering,
    posted: Posted,
    address: Address,
    /// The response it continues, and whether the model says something.
    continues: Option<String>,
    generates: bool,
}

/// The message that an error becomes that belongs to no lane.
pub(super) fn refusal(error: &ApiError) -> String {
    Address::default().error(error.status, &error.body(), &[])
}

impl Lane {
    fn refusal(&self, error: &ApiError) -> String {
        let address = Address { stream_id: self.stream_id.clone(), continued: None };
        address.error(error.status, &error.body(), &[])
    }
}

impl Lanes {
    /// `head` is the request that the connection was asked for with.
    pub fn new(gateway: Arc<Gateway>, head: &Parts) -> Self {
        let flavour = flavour::of(&head.extensions, gateway.settings.flavour);
        let headers = super::handshake::headers(&head.headers);
        let connection = uuid::Uuid::now_v7().simple().to_string();
        let place = Socket { connection, ..Socket::default() };
        Lanes { gateway, flavour, headers, place, lanes: Vec::new(), turn: 0, last_words: None }
    }

    /// What is to be said when all that was begun is answered.
    pub fn last_words(&mut self, error: &ApiError) {
        self.last_words = Some(refusal(error));
    }

    /// Takes a message of the client. What is to be said at once is given back.
    pub fn hear(&mut self, text: &str) -> Option<String> {
        self.place.message += 1;
        let event = match ClientEvent::parse(text) {
            Ok(event) => event,
            Err(error) => return Some(refusal(&error.into())),
        };
        match self.take(&event, text) {
            Ok(reply) => reply,
            Err(error) => {
                let stream_id = event.stream_id.map(Into::into);
                let address = Address { stream_id, continued: None };
                Some(address.error(error.status, &error.body(), &[]))
            }
        }
    }

    fn take(&mut self, event: &ClientEvent<'_>, text: &str) -> Result<Option<String>, ApiError> {
        if self.flavour == Flavour::OpenResponses && event.stream_id.is_some() {
            let message = "`stream_id` is not supported: a connection carries one conversation.";
            return Err(ApiError::invalid("stream_id", "unsupported_parameter", message));
        }
        match event.wish {
            Wish::Create => self.create(event, text).map(|()| None),
            Wish::Cancel => self.cancel(event).map(Some),
            Wish::Steer => {
                let message = "Latimer: a response that is being made takes no more input.";
                Ok(Some(event.steer_failed("steering_not_supported", message)))
            }
            Wish::Other => {
                let message = format!(
                    "Latimer: a message of type `{}` is not known; `response.create` is.",
                    event.name.chars().take(64).collect::<String>()
                );
                Err(ApiError::invalid("type", "invalid_value", message))
            }
        }
    }

    fn find(&self, event: &ClientEvent<'_>) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.stream_id.as_deref() == event.stream_id.as_deref())
    }

    fn create(&mut self, event: &ClientEvent<'_>, text: &str) -> Result<(), ApiError> {
        let limits = &self.gateway.settings.limits;
        let begun = |lane: &Lane| lane.waiting.len() + usize::from(lane.running.is_some());
        let too_many = |message: String| {
            let error = ApiError::invalid("stream_id", "websocket_stream_limit_reached", message);
            ApiError { status: 429, ..error }
        };
        if self.lanes.iter().map(begun).sum::<usize>() >= limits.websocket_requests {
            let most = limits.websocket_requests;
            return Err(too_many(format!(
                "Latimer: {most} requests of this connection are not answered yet; wait for one."
            )));
        }
        let at = match self.find(event) {
            Some(at) => at,
            None if self.lanes.len() >= limits.websocket_lanes => {
                let most = limits.websocket_lanes;
                return Err(too_many(format!(
                    "Latimer: this connection has {most} lanes, the most it may have."
                )));
            }
            None => {
                let stream_id = event.stream_id.clone().map(Into::into);
                self.lanes.push(Lane { stream_id, ..Lane::default() });
                self.lanes.len() - 1
            }
        };
        match self.lanes.get_mut(at) {
            Some(lane) if lane.running.is_some() => {
                let place = self.place.clone();
                lane.waiting.push_back(Waiting { text: text.to_owned(), place });
                Ok(())
            }
            _ => self.start(at, event, self.place.clone()),
        }
    }

    fn cancel(&mut self, event: &ClientEvent<'_>) -> Result<String, ApiError> {
        let lane = self.find(event).and_then(|at| self.lanes.get_mut(at));
        let lane = lane.filter(|lane| lane.running.is_some()).ok_or_else(|| {
            let message = "Latimer: no response is being made on this lane.";
            ApiError::invalid("", "response_not_active", message)
        })?;
        lane.running = None;
        let message = "Latimer: the response was cancelled, as was asked.";
        Ok(lane.refusal(&ApiError::invalid("", "response_cancelled", message)))
    }

    /// Begins to answer a request on a lane that is free.
    fn start(&mut self, at: usize, event: &ClientEvent<'_>, place: Socket) -> Result<(), ApiError> {
        if event.given("background").is_some_and(|background| background.boolean() != Some(false)) {
            let message = "`background` is not supported over a WebSocket.";
            return Err(ApiError::invalid("background", "unsupported_parameter", message));
        }
        let continues = event.continues();
        let held = self.lanes.iter().filter_map(|lane| lane.held.as_ref());
        let held = held.into_iter().find(|held| Some(&*held.id) == continues.as_deref());
        if let (Some(id), None, false) = (&continues, held, self.gateway.has_memory()) {
            return Err(not_found(id));
        }
        let posted = event.request(held);
        let address = Address {
            stream_id: event.stream_id.clone().map(Into::into),
            continued: held.map(|held| held.id.clone()),
        };
        let request = self.request(posted.body.clone(), place);
        let (gateway, generates) = (Arc::clone(&self.gateway), event.generates());
        let flavour = self.flavour;
        let ask = async move {
            let answer = match generates {
                true => exchange::ask(&gateway, Door::Responses, request).await,
                false => exchange::begin(&gateway, request).await,
            };
            gateway.told(flavour, answer)
        };
        let answering = Answering::new(ask, self.gateway.settings.limits.stream_bytes);
        let continues = continues.map(Into::into);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.running = Some(Running { answering, posted, address, continues, generates });
        }
        Ok(())
    }

    fn request(&self, body: String, place: Socket) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/v1/responses");
        *request.headers_mut() = self.headers.clone();
        request.extensions_mut().insert(place);
        request
    }

    /// The next message of any lane; `None` when nothing is going on.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        let (count, turn) = (self.lanes.len(), self.turn);
        let mut waits = false;
        for at in (0..count).map(|step| (turn + step) % count) {
            if let Some(refusal) = self.start_waiting(at) {
                return Poll::Ready(Some(refusal));
            }
            let running = self.lanes.get_mut(at).and_then(|lane| lane.running.as_mut());
            let Some(running) = running else { continue };
            match running.answering.poll_next(cx, &running.address) {
                Poll::Pending => waits = true,
                Poll::Ready(Told { text, ended }) => {
                    self.turn = at + 1;
                    if let Some(ended) = ended {
                        self.settle(at, ended);
                    }
                    return Poll::Ready(Some(text));
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(self.last_words.take()) }
    }

    /// Begins with what waits on a lane that is free; says why, if it cannot.
    fn start_waiting(&mut self, at: usize) -> Option<String> {
        let lane = self.lanes.get_mut(at).filter(|lane| lane.running.is_none())?;
        let Waiting { text, place } = lane.waiting.pop_front()?;
        let started = match ClientEvent::parse(&text) {
            Ok(event) => self.start(at, &event, place),
            Err(error) => Err(error.into()),
        };
        let lane = self.lanes.get(at)?;
        started.err().map(|error| lane.refusal(&error))
    }

    /// An answer ended: what it leaves is held, or what it failed to continue is let go.
    fn settle(&mut self, at: usize, ended: Ended) {
        let Some(lane) = self.lanes.get_mut(at) else { return };
        let Some(Running { answering, posted, continues, generates, .. }) = lane.running.take()
        else {
            return;
        };
        let end = match ended {
            Ended::Told(end) if end.status != Status::Failed => end,
            Ended::Told(_) | Ended::Refused => return self.let_go(continues.as_deref()),
        };
        answering.let_end();
        let held = posted.hold(&end).filter(|_| !end.stored || !generates);
        lane.held = None;
        let limit = self.gateway.settings.limits.websocket_held_bytes;
        let others: usize =
            self.lanes.iter().filter_map(|lane| lane.held.as_ref()).map(Held::bytes).sum();
        let held = held.filter(|held| others + held.bytes() <= limit);
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.held = held;
        }
    }

    /// Lets go of a response that could not be continued.
    fn let_go(&mut self, id: Option<&str>) {
        for lane in &mut self.lanes {
            if lane.held.as_ref().is_some_and(|held| Some(&*held.id) == id) {
                lane.held = None;
            }
        }
    }
}

/// The response that is to be continued is nowhere.
fn not_found(id: &str) -> ApiError {
    let id: String = id.chars().take(64).collect();
    let message = format!(
        "Latimer: the response `{id}` is not held on this connection, and nothing is stored. Send \
         the whole input."
    );
    ApiError::invalid("previous_response_id", "previous_response_not_found", message)
}
