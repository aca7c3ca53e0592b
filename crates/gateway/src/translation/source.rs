//! A backend's answer as hub events, whatever the backend speaks: the one face of the spokes' readers.

use std::num::NonZeroUsize;

use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Mend, Response, Sink, Status, Usage, unfold};
use latimer_wire::{backplane, chat};

/// Reads a backend's answer. Times are seconds since 1970.
pub(crate) trait Source: Send + Sync {
    /// Says that the response exists.
    fn begin(&mut self, sink: &mut dyn Sink);

    /// Takes the data and the name of a frame.
    fn push(&mut self, data: &str, name: Option<&str>, now: u64, sink: &mut dyn Sink);

    /// Takes one body instead of a stream.
    fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink);

    /// The backend ended its body. Where that was not the end of the answer, the response does not
    /// end here either: whoever knows the backend's name says that it broke off.
    fn end(&mut self, now: u64, sink: &mut dyn Sink);

    /// Ends the response as failed.
    fn fail(&mut self, failure: Failure, sink: &mut dyn Sink);

    /// How the response ended; `None` while it goes on.
    fn ended(&self) -> Option<Status>;

    /// Why it failed, where nothing had been said before.
    fn failed_at_once(&self) -> Option<Failure>;

    /// What was used, as far as it is known.
    fn usage(&self) -> Option<Usage>;

    /// What was lost or mended.
    fn notes(&self) -> Notes;
}

macro_rules! lifts {
    ($($lift:ty)*) => {
        $(impl Source for $lift {
            fn begin(&mut self, sink: &mut dyn Sink) {
                <$lift>::begin(self, sink);
            }

            fn push(&mut self, data: &str, _: Option<&str>, now: u64, sink: &mut dyn Sink) {
                <$lift>::push(self, data, now, sink);
            }

            fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink) {
                <$lift>::push_whole(self, body, now, sink);
            }

            fn end(&mut self, now: u64, sink: &mut dyn Sink) {
                <$lift>::end(self, now, sink);
            }

            fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
                <$lift>::fail(self, failure, sink);
            }

            fn ended(&self) -> Option<Status> {
                <$lift>::ended(self)
            }

            fn failed_at_once(&self) -> Option<Failure> {
                <$lift>::failed_at_once(self).cloned()
            }

            fn usage(&self) -> Option<Usage> {
                <$lift>::usage(self)
            }

            fn notes(&self) -> Notes {
                <$lift>::notes(self).clone()
            }
        })*
    };
}

lifts!(chat::Lift backplane::Lift);

/// A Responses backend says its own beginning; what it used and why it failed its last event says.
impl Source for Mend {
    fn begin(&mut self, _: &mut dyn Sink) {}

    fn push(&mut self, data: &str, name: Option<&str>, _: u64, sink: &mut dyn Sink) {
        Mend::push(self, data, name, sink);
    }

    fn push_whole(&mut self, body: &str, _: u64, sink: &mut dyn Sink) {
        match Response::parse(body) {
            Ok(response) => unfold(&response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
                self.event(event.clone(), sink);
            }),
            Err(error) => Mend::fail(
                self,
                Failure {
                    code: "server_error".to_owned(),
                    message: format!("The backend sent an answer that is not JSON: {error}."),
                },
                sink,
            ),
        }
    }

    fn end(&mut self, _: u64, _: &mut dyn Sink) {}

    fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        Mend::fail(self, failure, sink);
    }

    fn ended(&self) -> Option<Status> {
        Mend::ended(self)
    }

    fn failed_at_once(&self) -> Option<Failure> {
        None
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn notes(&self) -> Notes {
        Mend::notes(self).clone()
    }
}
