//! What clients ask about stored responses: the response itself, its events, its input, that it be
//! forgotten, that it be made no further.

use std::sync::Arc;

use latimer_store::{Id, StoreError, Thread, TurnStatus, Update};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;

use super::desk::{Desk, deletion, known};
use super::pending::in_status;
use super::{Listing, now};
use crate::background::Source;
use crate::exchange::Given;

impl Desk<'_> {
    pub async fn response(&self, id: &Id) -> Result<String, ApiError> {
        let turn = self.state.store.turn(&self.exchange.tenant, id, now()).await;
        Ok(known(turn, id)?.response)
    }

    /// The events of a response, after `starting_after`.
    pub async fn events(&self, id: &Id) -> Result<Given, ApiError> {
        let after = self.query.number("starting_after")?;
        let from = after.map_or(0, |after| after as usize + 1);
        let tenant = &self.exchange.tenant;
        if let Some(live) = self.state.runs.get(tenant, id) {
            return Ok(Given::Events { source: Source::Here(live), from });
        }
        self.response(id).await?;
        let state = Arc::clone(&self.state);
        let source = Source::Stored { state, tenant: tenant.clone(), id: id.clone() };
        Ok(Given::Events { source, from })
    }

    /// Ends a response that is made in the background.
    pub async fn cancel(&self, id: &Id) -> Result<String, ApiError> {
        let turn = known(self.state.store.turn(&self.exchange.tenant, id, now()).await, id)?;
        let background = Raw::unchecked(&turn.response).member("background");
        if background.and_then(Raw::boolean) != Some(true) {
            let message = "Cannot cancel a synchronous response.";
            return Err(ApiError::invalid("", "invalid_value", message));
        }
        if turn.status == TurnStatus::Cancelled {
            return Ok(turn.response);
        }
        let response = in_status(&turn.response, TurnStatus::Cancelled);
        let update = Update {
            status: TurnStatus::Cancelled,
            response: response.clone(),
            output: Vec::new(),
        };
        match self.state.store.update(&self.exchange.tenant, id, update).await {
            Ok(()) => {
                self.stop(id);
                Ok(response)
            }
            Err(StoreError::Conflict(_)) => {
                let message = format!("Response with id '{id}' has ended and cannot be cancelled.");
                Err(ApiError { status: 409, ..ApiError::invalid("", "conflict", message) })
            }
            Err(error) => known(Err(error), id),
        }
    }

    /// Stops the making of a response, where it is made here.
    fn stop(&self, id: &Id) {
        if let Some(live) = self.state.runs.get(&self.exchange.tenant, id) {
            live.cancel();
        }
    }

    pub async fn delete_response(&self, id: &Id) -> Result<String, ApiError> {
        let thread = Thread::Turn(id.clone());
        let deleted = self.state.store.delete(&self.exchange.tenant, &thread, now()).await;
        known(deleted, id)?;
        self.stop(id);
        Ok(deletion("response", id))
    }

    pub async fn input_items(&self, id: &Id) -> Result<String, ApiError> {
        let page = Listing::asked(&self.query)?;
        let thread = Thread::Turn(id.clone());
        let items = self.state.store.items(&self.exchange.tenant, &thread, page, now()).await;
        self.listed(&known(items, id)?)
    }
}
