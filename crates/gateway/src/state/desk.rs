//! Where clients ask about what is stored. In: an act, the ids in its path, a query, a body. Out: an
//! answer in OpenAI's shape. Whatever is not there, is another tenant's, or has expired, is unknown
//! in the same words.

use std::sync::Arc;

use http::HeaderMap;
use latimer_probe::record::account::Outcome;
use latimer_store::{Id, ItemPage, StoreError};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::check_include;

use super::items::shown;
use super::{Listing, Query, State, told};
use crate::body::Received;
use crate::exchange::Given;
use crate::headers;
use crate::ledger::Exchange;
use crate::paths::Act;
use crate::refusal::Refusal;
use crate::route::utf8;

/// Does what is asked.
///
/// # Errors
/// An error in OpenAI's shape.
pub(crate) async fn answer(
    exchange: &mut Exchange,
    act: Act,
    ids: &[Id],
    head: &http::request::Parts,
    body: &Received,
) -> Result<Given, Refusal> {
    let Some(state) = exchange.gateway.state.clone() else {
        let message = "Latimer: nothing is stored here (`state.store = \"off\"`).";
        let error = ApiError { status: 404, ..ApiError::invalid("", "not_found", message) };
        return Err(error.into());
    };
    state.touch();
    let text = utf8(&body.plain)?;
    if !text.is_empty() {
        Raw::parse(text).map_err(ApiError::from)?;
        exchange.understood();
    }
    let query = Query::of(head.uri.query());
    let desk = Desk { state, exchange, query, body: Raw::unchecked(text) };
    desk.included()?;
    desk.query.flag("include_obfuscation")?;
    let body = match (act, ids) {
        (Act::GetResponse, [id]) if desk.query.flag("stream")? => {
            return desk.events(id).await.map_err(Refusal::from);
        }
        (Act::GetResponse, [id]) => desk.response(id).await,
        (Act::CancelResponse, [id]) => desk.cancel(id).await,
        (Act::DeleteResponse, [id]) => desk.delete_response(id).await,
        (Act::ListInputItems, [id]) => desk.input_items(id).await,
        (Act::OpenConversation, _) => desk.open_conversation().await,
        (Act::GetConversation, [id]) => desk.conversation(id).await,
        (Act::UpdateConversation, [id]) => desk.update_conversation(id).await,
        (Act::DeleteConversation, [id]) => desk.delete_conversation(id).await,
        (Act::ListItems, [id]) => desk.list_items(id).await,
        (Act::AddItems, [id]) => desk.add_items(id).await,
        (Act::GetItem, [id, item]) => desk.item(id, item).await,
        (Act::RemoveItem, [id, item]) => desk.remove_item(id, item).await,
        _ => return Err(ApiError::invalid("", "not_found", "Latimer: no such path.").into()),
    };
    let headers = headers::json(&HeaderMap::new());
    Ok(Given::Whole { body: body?.into(), outcome: Outcome::Completed, headers })
}

/// One client at the desk.
pub(super) struct Desk<'d> {
    pub state: Arc<State>,
    pub exchange: &'d Exchange,
    pub query: Query<'d>,
    /// The body, checked; empty where there is none.
    pub body: Raw<'d>,
}

impl Desk<'_> {
    /// What the client wants included.
    ///
    /// # Errors
    /// A 400 for what nothing is called.
    pub fn included(&self) -> Result<Vec<&str>, ApiError> {
        let names: Vec<&str> = self.query.all("include").collect();
        for (place, name) in names.iter().enumerate() {
            check_include(name, place)?;
        }
        Ok(names)
    }

    /// A part of a list, as JSON.
    pub fn listed(&self, page: &ItemPage) -> Result<String, ApiError> {
        let included = self.included()?;
        Ok(Listing::print(page, |item| shown(item, &included)))
    }
}

/// What the store says of `id`, or an error in OpenAI's shape.
pub(super) fn known<T>(result: Result<T, StoreError>, id: &Id) -> Result<T, ApiError> {
    result.map_err(|error| told(error, id.as_str()))
}

/// That something is forgotten.
pub(super) fn deletion(object: &str, id: &Id) -> String {
    let mut out = String::new();
    Object::new(&mut out)
        .text("id", id.as_str())
        .text("object", object)
        .boolean("deleted", true)
        .end();
    out
}
