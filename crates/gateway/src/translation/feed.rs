//! In which form a backend's answer comes: as a stream of events, or as one JSON body although a stream
//! was asked for.

use latimer_wire::sse::Decoder;

/// What has come, and is not understood yet.
pub(crate) enum Feed {
    /// A stream of events, and how many have come.
    Events(Decoder, u64),
    /// One JSON body.
    Whole { body: Vec<u8>, limit_bytes: usize },
}

/// A number that changes with every event, and with every part of one.
pub(crate) fn progress(events: u64, decoder: &Decoder) -> u64 {
    (events << 32).wrapping_add(decoder.pending_bytes() as u64)
}

impl Feed {
    /// A stream of events, none of which is longer than `limit_bytes`.
    pub fn events(limit_bytes: usize) -> Self {
        Feed::Events(Decoder::new(limit_bytes), 0)
    }

    /// A number that changes with whatever is said; comments say nothing.
    pub fn heard(&self) -> u64 {
        match self {
            Feed::Events(decoder, heard) => progress(*heard, decoder),
            Feed::Whole { body, .. } => body.len() as u64,
        }
    }

    /// Takes bytes, and gives `frame` the data and name of each event that is complete.
    ///
    /// # Errors
    /// In words, where an event or the body is too long.
    pub fn read(
        &mut self,
        bytes: &[u8],
        mut frame: impl FnMut(&str, Option<&str>),
    ) -> Result<(), String> {
        match self {
            Feed::Events(decoder, heard) => {
                decoder.push(bytes);
                loop {
                    match decoder.next() {
                        Ok(Some(event)) => {
                            *heard += 1;
                            frame(&event.data, event.event.as_deref());
                        }
                        Ok(None) => return Ok(()),
                        Err(error) => return Err(error.to_string()),
                    }
                }
            }
            Feed::Whole { body, limit_bytes } if body.len() + bytes.len() > *limit_bytes => {
                Err(format!("it is longer than {limit_bytes} bytes"))
            }
            Feed::Whole { body, .. } => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}
