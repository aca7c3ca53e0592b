//! What is to be stored of an exchange when its answer is over. The write begins when the model has
//! said its last word, and only the last event waits for it: whoever has seen the end of an answer
//! can go on from it, on any gateway, and an answer that says that it is stored is.

use std::sync::Arc;

use latimer_store::{Id, StoreError, StoredEvent, StoredItem, Tenant, Turn, TurnStatus, Update};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::responses::{Failure, Response};

use super::telling::{UNAVAILABLE, told, unavailable};
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
    /// The response as it begins, as JSON, where it is to be made in the background.
    pub begun: Option<String>,
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
        let status = status_of(Raw::unchecked(response));
        let output = output_items(Raw::unchecked(response));
        let state = Arc::clone(&self.state);
        match self.put(status, response, output).await {
            Ok(()) => Kept::Stored,
            Err(why) => {
                state.count_lost(&why);
                if state.config.fail_closed { Kept::Refused } else { Kept::Lost }
            }
        }
    }

    async fn put(
        &self,
        status: TurnStatus,
        response: &str,
        output: Vec<StoredItem>,
    ) -> Result<(), StoreError> {
        let turn = Turn {
            id: self.id.clone(),
            previous: self.previous.clone(),
            conversation: self.conversation.clone(),
            created_at: now(),
            expires_at: self.state.expiry(),
            status,
            owner: status.is_open().then(|| self.state.owner.clone()),
            response: response.to_owned(),
        };
        let put = self.state.store.put(&self.tenant, turn, self.input.clone(), output);
        self.state.in_time(put).await
    }

    /// The response as it begins, as JSON; the empty object where it is not made in the background.
    pub fn begun(&self) -> &str {
        self.begun.as_deref().unwrap_or("{}")
    }

    /// Stores a turn that waits to be begun, and gives its response.
    ///
    /// # Errors
    /// 503 where it cannot be stored.
    pub async fn queue(&self) -> Result<String, ApiError> {
        let queued = in_status(self.begun(), TurnStatus::Queued);
        let put = async {
            self.state.be_alive().await?;
            self.put(TurnStatus::Queued, &queued, Vec::new()).await
        };
        put.await.map_err(|error| told(error, self.id.as_str()))?;
        Ok(queued)
    }

    /// Says that a turn has begun. `false`: nobody wants it any more.
    pub async fn begin(&self) -> bool {
        let begun = self.update(TurnStatus::InProgress, self.begun(), Vec::new()).await;
        !matches!(begun, Err(StoreError::Conflict(_) | StoreError::NotFound(_)))
    }

    /// Keeps events of a turn that has begun.
    pub async fn append(&self, events: &[StoredEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let append = self.state.store.append_events(&self.tenant, &self.id, events.to_vec());
        self.state.in_time(append).await
    }

    /// Ends a turn that has begun with this response, as JSON.
    pub async fn finish(&self, response: &str) -> Result<(), StoreError> {
        let json = Raw::unchecked(response);
        self.update(status_of(json), response, output_items(json)).await
    }

    async fn update(
        &self,
        status: TurnStatus,
        response: &str,
        output: Vec<StoredItem>,
    ) -> Result<(), StoreError> {
        let update = Update { status, response: response.to_owned(), output };
        self.state.in_time(self.state.store.update(&self.tenant, &self.id, update)).await
    }
}

/// A response, as JSON, with some members given new values.
fn with(response: &str, changes: &[(&str, Raw<'_>)]) -> String {
    match Response::parse(response) {
        Ok(parsed) => parsed.with(changes).into_json(),
        Err(_) => response.to_owned(),
    }
}

/// A response, as JSON, that says that it is not stored.
pub(crate) fn unstored(response: &str) -> String {
    with(response, &[("store", Raw::unchecked("false"))])
}

/// A response, as JSON, in another status.
pub(crate) fn in_status(response: &str, status: TurnStatus) -> String {
    with(response, &[("status", Raw::unchecked(&format!("\"{}\"", status.name())))])
}

/// A response, as JSON, that failed.
pub(crate) fn failed(response: &str, failure: &Failure) -> String {
    let mut error = String::new();
    failure.print(&mut error);
    let end = [("completed_at", Raw::NULL), ("error", Raw::unchecked(&error))];
    in_status(&with(response, &end), TurnStatus::Failed)
}

/// A response, as JSON, that failed for want of the store.
pub(crate) fn refused(response: &str) -> String {
    let ApiError { message, .. } = unavailable();
    unstored(&failed(response, &Failure { code: UNAVAILABLE.to_owned(), message }))
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
