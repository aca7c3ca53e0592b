//! What is said of a request that was not recorded. In: the request and the recorded one that comes
//! nearest. Out: an error for the client, and words for the operator.

use latimer_probe::replay::cassette::Nearest;
use latimer_probe::replay::matching::{Asked, Difference};
use latimer_wire::error::ApiError;

use crate::headers;

/// How many differences are told of one request.
const DIFFERENCES_MAX: usize = 20;

/// What is told when the nearest has to do: all that differs.
pub(super) fn likened(asked: &Asked, nearest: &Nearest) -> String {
    let mut told =
        format!("not recorded: {}; answered as line {}, but:", asked.place, nearest.line);
    for Difference { path, recorded, asked } in nearest.differences.iter().take(DIFFERENCES_MAX) {
        told.push_str(&format!("\n  {}\n    - {recorded}\n    + {asked}", place_of(path)));
    }
    let more = nearest.differences.len().saturating_sub(DIFFERENCES_MAX);
    if more > 0 {
        told.push_str(&format!("\n  and {more} more differences"));
    }
    told
}

/// The error for a request that was not recorded, and what the operator is told of it, which quotes
/// nothing.
pub(super) fn missing(asked: &Asked, nearest: Option<&Nearest>) -> (ApiError, String) {
    let place = &asked.place;
    let (path, quoted, told) = match nearest {
        None => (None, "The recording is empty.".to_owned(), "nothing is".to_owned()),
        Some(nearest) if nearest.place != asked.place => {
            let (line, other) = (nearest.line, &nearest.place);
            let quoted = format!("The nearest recorded request is line {line}, {other}.");
            (None, quoted, format!("the nearest is line {line}, {other}"))
        }
        Some(nearest) => {
            let (line, all) = (nearest.line, nearest.differences.len());
            let first = nearest.differences.first();
            let (path, recorded, asked) = match first {
                Some(first) => (&*first.path, &*first.recorded, &*first.asked),
                None => ("", "", ""),
            };
            let at = place_of(path);
            let quoted = format!(
                "The nearest recorded request is line {line}, which differs first at {at}: recorded \
                 {recorded}, asked {asked} (differences in all: {all})."
            );
            let told = format!("the nearest is line {line}, which differs first at {at}");
            (Some(path.to_owned()), quoted, told)
        }
    };
    let message = format!(
        "Latimer: the recording has no answer to this request ({place}). {quoted} Record it anew, \
         start `latimer replay` with --record-missing and an --upstream, or let it take the nearest \
         with --lenient."
    );
    let error = ApiError::invalid(path.unwrap_or_default(), "no_recording", message);
    let error = ApiError { status: 404, kind: headers::error_kind(404), ..error };
    (error, format!("not recorded: {place}; {told}"))
}

/// A place in a body, in words.
fn place_of(path: &str) -> String {
    if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") }
}
