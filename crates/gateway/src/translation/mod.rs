//! What happens between the backend's bytes and the client's: translated, or passed on untouched and
//! only observed. No I/O here: bytes in, bytes out, and how it ended.

mod compacting;
mod feed;
mod lifting;
mod listening;
mod lowering;
mod passing;
mod retold;
mod running;
mod source;
mod watch;
mod whole;
mod writer;

pub(crate) use self::compacting::{Compacting, Summary};
pub(crate) use self::feed::{Feed, progress};
pub(crate) use self::lifting::Lifting;
pub(crate) use self::listening::Listening;
pub(crate) use self::lowering::{Lowered, Lowering};
pub(crate) use self::passing::Passing;
pub(crate) use self::retold::{Ours, Preface, Retold};
pub(crate) use self::running::{Run, Running};
pub(crate) use self::source::Source;
pub(crate) use self::watch::Watch;
pub(crate) use self::whole::Whole;

use bytes::Bytes;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Status, Usage};

use crate::secret::Secret;
use crate::state::Kept;

/// How a backend's answer becomes the client's stream. Times are seconds since 1970.
pub(crate) trait Translation: Send {
    /// Says that the response exists, where that is ours to say; it goes out with the next bytes.
    fn begin(&mut self) {}

    /// Takes bytes from the backend and gives those for the client.
    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes;

    /// The backend ended its body.
    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent>;

    /// The way to the backend broke.
    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent>;

    /// What ends a stream that this answer shares with others, said once by one of them when all
    /// are over; `usage` is what they used together.
    fn close(&mut self, _usage: Option<Usage>) -> Bytes {
        Bytes::new()
    }

    /// The response as it ended, as JSON, where its last event is held back until it is known whether
    /// it could be stored.
    fn held(&self) -> Option<String> {
        None
    }

    /// Says the event that was held back.
    fn release(&mut self, _kept: Kept) -> Bytes {
        Bytes::new()
    }

    /// How the response ended; `None` while it goes on.
    fn ended(&self) -> Option<Status>;

    /// Whether the backend has said that it failed, although the end has not come: a client that leaves
    /// now leaves a failed answer.
    fn is_failing(&self) -> bool {
        false
    }

    /// Why it failed, where the answer had not begun: it can still be an error instead.
    fn failed_at_once(&self) -> Option<Failure> {
        None
    }

    /// Whether nothing that the backend may still send can matter to the client.
    fn is_over(&self) -> bool;

    /// Whether it is no longer known where the stream stands; it has to be broken off.
    fn is_lost(&self) -> bool {
        false
    }

    /// Whether an event of our own may stand here.
    fn at_boundary(&self) -> bool {
        true
    }

    /// A number that changes with whatever the backend says; comments say nothing.
    fn heard(&self) -> u64;

    /// What was used, as far as it is known.
    fn usage(&self) -> Option<Usage>;

    /// What was lost or mended, and where the stream broke the grammar.
    fn notes(&self) -> Notes;
}

/// Why no more bytes can follow and the connection has to be broken off instead.
#[derive(Debug)]
pub(crate) struct CutInsideEvent;

/// The backend an answer comes from.
#[derive(Clone, Default)]
pub(crate) struct Hop {
    /// As messages name it.
    pub name: String,
    /// The key it was sent, which it may say back.
    pub secret: Secret,
}

impl Hop {
    /// The failure of an answer that is not in a form that can be read.
    fn unreadable(&self, trouble: &str) -> Failure {
        let name = &self.name;
        let message =
            format!("Latimer: the backend {name} sent an answer that cannot be read: {trouble}.");
        Failure { code: "server_error".to_owned(), message }
    }

    /// The failure of an answer that ended before its end.
    fn incomplete(&self) -> Failure {
        let name = &self.name;
        let message =
            format!("Latimer: the backend {name} ended its answer before it was complete.");
        Failure { code: "server_error".to_owned(), message }
    }

    /// A failed response: where the core speaks of "The backend", it is named, and a key is hidden.
    fn named(&self, response: &str) -> String {
        let named = format!("\"message\":\"The backend {} ", self.name);
        self.secret.hide(response.replacen("\"message\":\"The backend ", &named, 1))
    }
}
