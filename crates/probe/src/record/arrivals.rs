//! When the frames of a stream came. In: the pieces of a body and the time of each. Out: a time for
//! each frame, that of the piece which completed it. A frame is what [`latimer_wire::sse`] takes for
//! one, so that the n-th time belongs to the n-th frame a reader of the record finds.

use latimer_wire::sse::Decoder;

/// How many times are kept of one stream.
const KEPT_MAX: usize = 1 << 16;

/// When the frames of a stream came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames {
    /// Microseconds: of the first since the beginning, of each other since the one before it.
    pub deltas_us: Vec<u64>,
    /// How many more frames there are.
    pub left_out: u64,
}

/// Reads the pieces of an event stream; `at_us` counts from the beginning of the exchange.
///
/// ```
/// use latimer_probe::record::arrivals::of_stream;
/// let pieces = [("data: 1\n\ndata:", 700), (" 2\n", 900), ("\ndata: cut off", 950)];
/// let frames = of_stream(pieces.map(|(text, at_us)| (text.as_bytes(), at_us)));
/// assert_eq!(frames.deltas_us, [700, 250]);
/// ```
pub fn of_stream<'p>(pieces: impl IntoIterator<Item = (&'p [u8], u64)>) -> Frames {
    let mut frames = Frames::default();
    // The body is in memory already, so no event of it is too long.
    let mut decoder = Decoder::new(usize::MAX);
    let mut last_us = 0;
    for (piece, at_us) in pieces {
        decoder.push(piece);
        while let Ok(Some(_)) = decoder.next() {
            if frames.deltas_us.len() == KEPT_MAX {
                frames.left_out += 1;
                continue;
            }
            frames.deltas_us.push(at_us.saturating_sub(last_us));
            last_us = at_us.max(last_us);
        }
    }
    frames
}
