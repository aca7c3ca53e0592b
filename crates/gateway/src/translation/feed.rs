//! In which form a backend's answer comes: as a stream of events, or as one JSON body although a stream
//! was asked for.

use latimer_wire::sse::Decoder;

/// What has come, and is not understood yet.
pub(crate) enum Feed {
    /// A stream of events.
    Events(Decoder),
    /// One JSON body.
    Whole { body: Vec<u8>, limit_bytes: usize },
}

impl Feed {
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
            Feed::Events(decoder) => {
                decoder.push(bytes);
                loop {
                    match decoder.next() {
                        Ok(Some(event)) => frame(&event.data, event.event.as_deref()),
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
