//! What clients ask about stored responses: the response itself, its input, that it be forgotten. In:
//! an act, the ids in its path, a query. Out: an answer in OpenAI's shape. Whatever is not there, is
//! another tenant's, or has expired, is unknown in the same words.

use std::num::NonZeroUsize;
use std::sync::Arc;

use http::HeaderMap;
use latimer_probe::account::Outcome;
use latimer_store::{Id, Thread};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::{Event, Response, unfold};

use super::{Listing, Query, State, now, told};
use crate::exchange::Given;
use crate::headers;
use crate::ledger::Exchange;
use crate::paths::Act;
use crate::refusal::Refusal;

/// How long the pieces are in which the texts of a stored response are told, in characters.
const PIECE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Does what is asked.
///
/// # Errors
/// An error in OpenAI's shape.
pub(crate) async fn answer(
    exchange: &Exchange,
    act: Act,
    ids: &[Id],
    head: &http::request::Parts,
) -> Result<Given, Refusal> {
    let Some(state) = exchange.gateway.state.as_ref() else {
        let message = "Latimer: nothing is stored here (`state.store = \"off\"`).";
        let error = ApiError { status: 404, ..ApiError::invalid("", "not_found", message) };
        return Err(error.into());
    };
    let desk = Desk { state, exchange, query: Query::of(head.uri.query()) };
    let body = match (act, ids) {
        (Act::GetResponse, [id]) if desk.query.flag("stream")? => {
            return desk.events(id).await.map_err(Refusal::from);
        }
        (Act::GetResponse, [id]) => desk.response(id).await,
        (Act::DeleteResponse, [id]) => desk.delete_response(id).await,
        (Act::ListInputItems, [id]) => desk.input_items(id).await,
        _ => return Err(ApiError::invalid("", "not_found", "Latimer: no such path.").into()),
    };
    let headers = headers::json(&HeaderMap::new());
    Ok(Given::Whole { body: body?.into(), outcome: Outcome::Completed, headers })
}

/// One client at the desk.
struct Desk<'d> {
    state: &'d Arc<State>,
    exchange: &'d Exchange,
    query: Query<'d>,
}

impl Desk<'_> {
    async fn response(&self, id: &Id) -> Result<String, ApiError> {
        let turn = self.state.store.turn(&self.exchange.tenant, id, now()).await;
        Ok(turn.map_err(|error| told(error, id.as_str()))?.response)
    }

    /// The events of a response, after `starting_after`.
    async fn events(&self, id: &Id) -> Result<Given, ApiError> {
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

    async fn delete_response(&self, id: &Id) -> Result<String, ApiError> {
        let thread = Thread::Turn(id.clone());
        let deleted = self.state.store.delete(&self.exchange.tenant, &thread, now()).await;
        deleted.map_err(|error| told(error, id.as_str()))?;
        Ok(deletion("response", id))
    }

    async fn input_items(&self, id: &Id) -> Result<String, ApiError> {
        let page = Listing::asked(&self.query)?;
        let thread = Thread::Turn(id.clone());
        let items = self.state.store.items(&self.exchange.tenant, &thread, page, now()).await;
        let items = items.map_err(|error| told(error, id.as_str()))?;
        Ok(Listing::print(&items, shown))
    }
}

fn deletion(object: &str, id: &Id) -> String {
    let mut out = String::new();
    Object::new(&mut out)
        .text("id", id.as_str())
        .text("object", object)
        .boolean("deleted", true)
        .end();
    out
}

/// An item as clients expect to see it in a list: a message has a status, and its content is a list
/// of parts, although a string may have been sent.
fn shown(item: &str) -> String {
    let json = Raw::unchecked(item);
    let is_message = json.member_text("type").as_deref() == Some("message");
    if !is_message {
        return item.to_owned();
    }
    let part = match json.member_text("role").as_deref() {
        Some("assistant") => "output_text",
        _ => "input_text",
    };
    let mut out = String::new();
    let mut object = Object::new(&mut out);
    for (key, value) in json.members() {
        object = match value.is_string() && key == "content" {
            true => object.list(&key, [value], |out, text| {
                let text_part = Object::new(out).text("type", part).raw("text", text);
                match part {
                    "output_text" => text_part.raw("annotations", Raw::EMPTY_ARRAY).end(),
                    _ => text_part.end(),
                }
            }),
            false => object.raw(&key, value),
        };
    }
    if json.member("status").is_none() {
        object = object.text("status", "completed");
    }
    object.end();
    out
}
