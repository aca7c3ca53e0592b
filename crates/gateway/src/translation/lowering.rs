//! The answer of a Responses backend or an agent for a client of Chat Completions: mended on the way,
//! since every form of such a stream has been seen, and told in chunks.

use bytes::Bytes;
use latimer_wire::chat::{Lower, Shape, StopSequences};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Role, Sink, Status, Usage};

use super::{CutInsideEvent, Feed, Hop, Source, Translation};

/// What it takes to tell a Chat client what a backend says.
pub(crate) struct Lowered {
    pub source: Box<dyn Source>,
    pub lower: Lower,
    /// The completion's id.
    pub id: String,
    pub shape: Shape,
    pub stop: Option<StopSequences>,
}

/// An answer on its way to a Chat client.
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
    fn tell(&mut self, speak: impl FnOnce(&mut dyn Source, &mut dyn Sink)) {
        let Told { lowered: Lowered { source, lower, .. }, out, usage, failure, said, .. } = self;
        speak(source.as_mut(), &mut |event: &Event<'_>| {
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
            && self.lowered.source.ended().is_none()
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
    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        let told = &mut self.told;
        let trouble = self.feed.read(&bytes, |data, name| {
            told.tell(|source, sink| source.push(data, name, now, sink));
        });
        if let Err(trouble) = trouble {
            let failure = self.hop.unreadable(&trouble);
            self.told.tell(|source, sink| source.fail(failure, sink));
        }
        self.written()
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        let incomplete = self.hop.incomplete();
        let told = &mut self.told;
        match &self.feed {
            Feed::Whole { body, .. } => {
                let body = String::from_utf8_lossy(body);
                told.tell(|source, sink| source.push_whole(&body, now, sink));
            }
            Feed::Events(..) => told.tell(|source, sink| source.end(now, sink)),
        }
        if told.lowered.source.ended().is_none() {
            told.tell(|source, sink| source.fail(incomplete, sink));
        }
        Ok(self.written())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.told.tell(|source, sink| source.fail(failure, sink));
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
            false => self.told.lowered.source.ended(),
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
        let mut notes = self.told.lowered.source.notes();
        notes.extend(self.told.lowered.lower.notes().clone());
        notes
    }
}
