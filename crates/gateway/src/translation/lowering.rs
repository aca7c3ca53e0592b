//! A Responses answer for a client of Chat Completions: mended on the way, since every form of that
//! stream has been seen, and told in chunks.

use bytes::Bytes;
use latimer_wire::chat::{Lower, Shape, StopSequences};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Mend, Response, Role, Status, Usage, unfold};

use super::{CutInsideEvent, Feed, Hop, Translation};

/// What it takes to tell a Chat client what a Responses backend says.
pub(crate) struct Lowered {
    pub mend: Mend,
    pub lower: Lower,
    /// The completion's id.
    pub id: String,
    pub shape: Shape,
    pub stop: Option<StopSequences>,
}

/// A Responses answer on its way to a Chat client.
pub(crate) struct Lowering {
    feed: Feed,
    told: Told,
    hop: Hop,
}

/// What was told, and what is known.
struct Told {
    lowered: Lowered,
    out: String,
    usage: Option<Usage>,
    failure: Option<Failure>,
    /// How many events said something of the answer.
    said: usize,
    ended_by_stop: bool,
}

impl Told {
    /// Gives the events that `speak` makes to the client.
    fn tell(&mut self, speak: impl FnOnce(&mut Mend, &mut dyn latimer_wire::responses::Sink)) {
        let Told { lowered: Lowered { mend, lower, .. }, out, usage, failure, said, .. } = self;
        speak(mend, &mut |event: &Event<'_>| {
            match (event.role(), event.payload) {
                (Role::Terminal(status), Some(response)) => {
                    *usage = response.member("usage").and_then(Raw::non_null).map(Usage::read);
                    let error = response.member("error").and_then(Raw::non_null);
                    if status == Status::Failed {
                        *failure = error.map(Failure::of);
                    }
                }
                (Role::ItemAdded, _) => *said += 1,
                _ => {}
            }
            lower.push(event, out);
        });
        if self.lowered.lower.stopped()
            && !self.ended_by_stop
            && self.lowered.mend.ended().is_none()
        {
            self.lowered.lower.end(&mut self.out);
            self.ended_by_stop = true;
        }
    }
}

impl Lowering {
    /// From a stream of events.
    pub fn events(lowered: Lowered, event_limit_bytes: usize, hop: Hop) -> Self {
        Lowering::of(Feed::events(event_limit_bytes), lowered, hop)
    }

    /// From one whole response.
    pub fn whole(lowered: Lowered, limit_bytes: usize, hop: Hop) -> Self {
        Lowering::of(Feed::Whole { body: Vec::new(), limit_bytes }, lowered, hop)
    }

    fn of(feed: Feed, lowered: Lowered, hop: Hop) -> Self {
        let told = Told {
            lowered,
            out: String::new(),
            usage: None,
            failure: None,
            said: 0,
            ended_by_stop: false,
        };
        Lowering { feed, told, hop }
    }

    /// What is to be said now. In the words of a failure the backend may say our key back.
    fn written(&mut self) -> Bytes {
        let chunks = std::mem::take(&mut self.told.out);
        Bytes::from(match self.told.failure {
            Some(_) => self.hop.secret.hide(chunks),
            None => chunks,
        })
    }
}

impl Translation for Lowering {
    fn push(&mut self, bytes: Bytes, _now: u64) -> Bytes {
        let told = &mut self.told;
        let trouble = self.feed.read(&bytes, |data, name| {
            told.tell(|mend, sink| mend.push(data, name, sink));
        });
        if let Err(trouble) = trouble {
            let failure = self.hop.unreadable(&trouble);
            self.told.tell(|mend, sink| mend.fail(failure, sink));
        }
        self.written()
    }

    fn end(&mut self, _now: u64) -> Result<Bytes, CutInsideEvent> {
        let incomplete = self.hop.incomplete();
        match &self.feed {
            Feed::Whole { body, .. } => {
                let response = Response::parse(String::from_utf8_lossy(body).into_owned());
                let piece = std::num::NonZeroUsize::MAX;
                self.told.tell(|mend, sink| match response {
                    Ok(response) => unfold(&response, piece, &mut |event: &Event<'_>| {
                        mend.event(event.clone(), sink);
                    }),
                    Err(_) => mend.fail(incomplete, sink),
                });
            }
            Feed::Events(..) if self.told.lowered.mend.ended().is_none() => {
                self.told.tell(|mend, sink| mend.fail(incomplete, sink));
            }
            Feed::Events(..) => {}
        }
        Ok(self.written())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.told.tell(|mend, sink| mend.fail(failure, sink));
        Ok(self.written())
    }

    fn close(&mut self, usage: Option<Usage>) -> Bytes {
        let Told { lowered, out, .. } = &mut self.told;
        lowered.lower.close(usage, out);
        self.written()
    }

    fn ended(&self) -> Option<Status> {
        match self.told.ended_by_stop {
            true => Some(Status::Completed),
            false => self.told.lowered.mend.ended(),
        }
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.told.failure.clone().filter(|_| self.told.said == 0)
    }

    fn is_over(&self) -> bool {
        self.ended().is_some()
    }

    fn heard(&self) -> u64 {
        self.feed.heard()
    }

    fn usage(&self) -> Option<Usage> {
        self.told.usage
    }

    fn notes(&self) -> Notes {
        let mut notes = self.told.lowered.mend.notes().clone();
        notes.extend(self.told.lowered.lower.notes().clone());
        notes
    }
}
