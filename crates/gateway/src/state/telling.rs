//! How the store's errors are told to a client, in OpenAI's shape.

use latimer_store::{StoreError, What};
use latimer_wire::error::ApiError;

/// How long a client may wait before it asks a store again that could not answer, in seconds.
pub(crate) const RETRY_AFTER_S: u64 = 2;

/// What an error of the store is to a client. What is not found is told as an unknown `id`.
pub(crate) fn told(error: StoreError, id: &str) -> ApiError {
    match error {
        StoreError::NotFound(What::Conversation) => not_found("Conversation", id),
        StoreError::NotFound(What::Item) => not_found("Item", id),
        StoreError::NotFound(_) => unknown_response(id),
        StoreError::Conflict(_) => {
            let message = format!("Latimer: {error}.");
            ApiError { status: 409, ..ApiError::invalid("", "conflict", message) }
        }
        StoreError::TooLong { measure, limit } => {
            let message = format!(
                "Latimer: what came before is longer than {limit} {measure} (`state.history_…` in \
                 the configuration). Compact it, or begin anew."
            );
            ApiError::invalid("", "history_too_long", message)
        }
        StoreError::Full(_)
        | StoreError::Busy(_)
        | StoreError::Gone(_)
        | StoreError::Corrupt(_)
        | StoreError::Refused(_) => {
            tracing::warn!(why = %error, "the store did not answer");
            unavailable()
        }
    }
}

/// The code of an error for want of the store.
pub(crate) const UNAVAILABLE: &str = "state_unavailable";

/// The store cannot be used now.
pub(crate) fn unavailable() -> ApiError {
    let message = "Latimer: what is stored cannot be read or written now.";
    ApiError::server(503, UNAVAILABLE, message)
}

/// There is no such response, or none that the caller may see.
pub(crate) fn unknown_response(id: &str) -> ApiError {
    not_found("Response", id)
}

fn not_found(what: &str, id: &str) -> ApiError {
    let message = format!("{what} with id '{id}' not found.");
    ApiError { status: 404, code: None, ..ApiError::invalid("", "", message) }
}
