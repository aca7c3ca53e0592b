//! What is to be stored of an exchange when its answer is over. The write begins when the model has
//! said its last word, and only the last event waits for it: whoever has seen the end of an answer
//! can go on from it, on any gateway, and an answer that says that it is stored is.

use std::sync::Arc;
use std::time::Duration;

use latimer_store::{Id, StoreError, StoredItem, Tenant, Turn, TurnStatus};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::responses::{Failure, Response};

use super::telling::{UNAVAILABLE, unavailable};
use super::{State, now};

/// What is to be stored.
pub(crate) struct Keep {
    pub state: Arc<State>,
    pub tenant: Tenant,
    /// The response's id.
    pub id: Id,
    pub previous: Option<Id>,
    pub conversation: Option<Id>,
    /// The request's own items.
    pub input: Vec<StoredItem>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is stored.
    Stored,
    /// It is not, and the answer has to say so.
    Lost,
    /// It is not, and the answer must not be given.
    Refused,
}

/// The note of an answer that is not stored although it was to be.
pub(crate) const LOST: &str = "response_not_stored";

impl Keep {
    /// Stores the response, as JSON. It does not take longer than the configuration allows.
    pub async fn store(self, response: &str) -> Kept {
        let state = Arc::clone(&self.state);
        let wait = Duration::from_millis(state.config.wait_ms);
        let written = tokio::time::timeout(wait, self.write(response)).await;
        let busy = |_| StoreError::Busy(format!("nothing for {} ms", wait.as_millis()));
        match written.map_err(busy).flatten() {
            Ok(()) => Kept::Stored,
            Err(why) => {
                state.count_lost(&why);
                if state.config.fail_closed { Kept::Refused } else { Kept::Lost }
            }
        }
    }

    async fn write(self, response: &str) -> Result<(), StoreError> {
        let json = Raw::unchecked(response);
        let output = output_items(json);
        let turn = Turn {
            id: self.id,
            previous: self.previous,
            conversation: self.conversation,
            created_at: now(),
            expires_at: self.state.expiry(),
            status: status_of(json),
            owner: None,
            response: response.to_owned(),
        };
        self.state.store.put(&self.tenant, turn, self.input, output).await
    }
}

/// A response, as JSON, that says that it is not stored.
pub(crate) fn unstored(response: String) -> String {
    match Response::parse(response.as_str()) {
        Ok(parsed) => parsed.with(&[("store", Raw::unchecked("false"))]).into_json(),
        Err(_) => response,
    }
}

/// A response, as JSON, that failed for want of the store.
pub(crate) fn refused(response: String) -> String {
    let ApiError { message, .. } = unavailable();
    let mut error = String::new();
    Failure { code: UNAVAILABLE.to_owned(), message }.print(&mut error);
    match Response::parse(response.as_str()) {
        Ok(parsed) => {
            let failed = [
                ("status", Raw::unchecked("\"failed\"")),
                ("completed_at", Raw::NULL),
                ("error", Raw::unchecked(&error)),
                ("store", Raw::unchecked("false")),
            ];
            parsed.with(&failed).into_json()
        }
        Err(_) => response,
    }
}

/// How a response that is over ended.
pub(crate) fn status_of(response: Raw<'_>) -> TurnStatus {
    let status = response.member_text("status");
    status.and_then(|name| TurnStatus::named(&name)).unwrap_or(TurnStatus::Completed)
}

/// The items of a response's output.
pub(crate) fn output_items(response: Raw<'_>) -> Vec<StoredItem> {
    let items = response.member("output").map(Raw::elements).unwrap_or_default();
    let stored = |item: Raw<'_>| {
        let id = item.member_text("id")?.parse().ok()?;
        Some(StoredItem { id, json: item.as_str().to_owned() })
    };
    items.into_iter().filter_map(stored).collect()
}
