//! What clients ask about stored responses: the response itself, its events, its input, that it be
//! forgotten.

use std::num::NonZeroUsize;

use http::HeaderMap;
use latimer_probe::account::Outcome;
use latimer_store::{Id, Thread};
use latimer_wire::error::ApiError;
use latimer_wire::responses::{Event, Response, unfold};

use super::desk::{Desk, deletion, known};
use super::items::shown;
use super::{Listing, now};
use crate::exchange::Given;
use crate::headers;

/// How long the pieces are in which the texts of a stored response are told, in characters.
const PIECE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl Desk<'_> {
    pub async fn response(&self, id: &Id) -> Result<String, ApiError> {
        let turn = self.state.store.turn(&self.exchange.tenant, id, now()).await;
        Ok(known(turn, id)?.response)
    }

    /// The events of a response, after `starting_after`.
    pub async fn events(&self, id: &Id) -> Result<Given, ApiError> {
        let after = self.query.number("starting_after")?.map(u64::from);
        let response = Response::parse(self.response(id).await?)?;
        let mut body = String::new();
        unfold(&response, PIECE, &mut |event: &Event<'_>| {
            if event.sequence_number > after {
                event.print_frame(&mut body);
            }
        });
        let headers = headers::events(&HeaderMap::new());
        Ok(Given::Whole { body: body.into(), outcome: Outcome::Completed, headers })
    }

    pub async fn delete_response(&self, id: &Id) -> Result<String, ApiError> {
        let thread = Thread::Turn(id.clone());
        let deleted = self.state.store.delete(&self.exchange.tenant, &thread, now()).await;
        known(deleted, id)?;
        Ok(deletion("response", id))
    }

    pub async fn input_items(&self, id: &Id) -> Result<String, ApiError> {
        let page = Listing::asked(&self.query)?;
        let thread = Thread::Turn(id.clone());
        let items = self.state.store.items(&self.exchange.tenant, &thread, page, now()).await;
        Ok(Listing::print(&known(items, id)?, shown))
    }
}
