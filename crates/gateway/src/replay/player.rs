//! A recording at its listener. In: requests. Out: recorded answers; where there is none, an error that
//! says so, or the answer of the backend, which is recorded as well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use latimer_probe::replay::cassette::Take;
use latimer_probe::replay::matching::Asked;
use latimer_wire::error::ApiError;
use tokio::net::TcpListener;

use super::Replay;
use super::miss::{likened, missing};
use super::reel::{Found, Reel};
use super::{play, sessions};
use crate::answer::{Answer, refusal};
use crate::body;
use crate::config::{Limits, Timeouts};
use crate::gateway::Gateway;
use crate::listener::{Entrance, accept, answering};
use crate::paths::{self, Act, Room};
use crate::server::{at_the_door, healthy, respond, sweep};
use crate::state::Query;

/// A recording at its listener.
pub(super) struct Player {
    pub replay: Replay,
    pub address: SocketAddr,
    /// What is asked for what is not recorded.
    pub gateway: Option<Arc<Gateway>>,
}

/// Answers until `stop` is ready.
pub(super) async fn play_on(
    listener: TcpListener,
    player: Arc<Player>,
    stop: impl Future<Output = ()>,
) {
    let (limits, timeouts) = player.bounds();
    let entrance = Entrance {
        connections_max: limits.connections,
        write_wait: Timeouts::of(timeouts.client_write_ms),
        drain: if player.gateway.is_some() {
            Timeouts::of(timeouts.drain_ms)
        } else {
            Duration::ZERO
        },
    };
    let upstream = player.gateway.as_ref().map(|gateway| Arc::clone(&gateway.upstream));
    let serve = move |socket, stopped| {
        let player = Arc::clone(&player);
        async move {
            answering(socket, stopped, move |request| Arc::clone(&player).respond(request)).await;
        }
    };
    let sweeping = async {
        match upstream {
            Some(upstream) => sweep(upstream).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accept(listener, entrance, stop, serve) => {}
        () = sweeping => {}
    }
}

impl Player {
    fn bounds(&self) -> (Limits, Timeouts) {
        let settings = self.gateway.as_ref().map(|gateway| &gateway.settings);
        settings.map(|s| (s.limits.clone(), s.timeouts.clone())).unwrap_or_default()
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        if let Err(error) = at_the_door(self.address, &request) {
            return refusal(&error);
        }
        if request.uri().path() == "/healthz" {
            return healthy(None);
        }
        let (head, incoming) = request.into_parts();
        self.answer(head, incoming).await.unwrap_or_else(|error| refusal(&error))
    }

    async fn answer(&self, head: Parts, incoming: Incoming) -> Result<Response<Answer>, ApiError> {
        let (limits, timeouts) = self.bounds();
        let raw = body::read(&head.headers, incoming, &limits, &timeouts).await?;
        let plain = body::decode(&head.headers, raw.clone(), &limits).await?;
        let asked = Asked::of(head.method.as_str(), &head.uri.to_string(), &plain);
        let take = match (self.find(&head, &plain, &asked), &self.gateway) {
            (Found::Take(take), _) => take,
            (Found::Like(take, nearest), _) => {
                (self.replay.tell)(&likened(&asked, &nearest));
                take
            }
            (Found::Missing(_), Some(gateway)) => {
                (self.replay.tell)(&format!("recording {}", asked.place));
                let request = Request::from_parts(head, Full::<Bytes>::new(raw));
                return Ok(respond(Arc::clone(gateway), request).await);
            }
            (Found::Missing(nearest), None) => {
                let (error, told) = missing(&asked, nearest.as_ref());
                (self.replay.tell)(&told);
                return Err(error);
            }
        };
        let queued = if asked.is_polled() { take.queued() } else { None };
        let take = queued.map_or(take, Arc::new);
        tracing::info!(line = take.line, status = take.status, path = head.uri.path(), "replayed");
        Ok(play::play(&take, self.replay.speed).await)
    }

    /// What is said to a request: what was said to its equal, what was recorded of the response that it
    /// asks for, or what was said to its like.
    fn find(&self, head: &Parts, body: &[u8], asked: &Asked) -> Found {
        let session = sessions::of(&head.headers, body);
        let records = self.gateway.is_some();
        let mut reel = self.replay.reel();
        if records && let Err(error) = reel.read_on(&self.replay.path, false) {
            tracing::debug!(%error, "the recording cannot be read on");
        }
        let recorded = match records {
            true => reel.find_once(&session, asked),
            false => reel.find(&session, asked),
        };
        match recorded.or_else(|| once_more(&reel, head).map(Arc::new)) {
            Some(take) => Found::Take(take),
            None if records => Found::Missing(None),
            None => reel.find_like(&session, asked, self.replay.lenient),
        }
    }
}

/// What is said to `GET /v1/responses/{id}` of a response that was recorded as it was made.
fn once_more(reel: &Reel, head: &Parts) -> Option<Take> {
    let (room, ids) = paths::find(&head.method, head.uri.path()).ok()?;
    if room != Room::State(Act::GetResponse) {
        return None;
    }
    let take = reel.cassette.made(ids.first()?.as_str())?;
    let query = Query::of(head.uri.query());
    match query.flag("stream").ok()? {
        true => take.followed(query.number("starting_after").ok()?.map(u64::from)),
        false => take.retrieved(),
    }
}
