//! What came before a request, and what is to be stored of it. [`recall`] turns a request that only
//! names its past (`previous_response_id`, `conversation`, `item_reference`) into one that holds it,
//! as a backend without memory needs it; [`keep`] says what has to be stored when the answer is over,
//! so that the next request can name it. Instructions are no part of a past: they count for one
//! request.

use std::sync::Arc;

use latimer_store::{Id, StoreError, StoredItem, Thread, What};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::path::Path;
use latimer_wire::responses::{Envelope, Item, Request, Snapshot, TRIGGER};

use crate::compaction::{self, Seal, Sealed, introduced};
use crate::ledger::Exchange;
use crate::state::{Keep, State, now, stored, told};

/// What a request is continued with: items as JSON, borrowed by the request that is sent.
#[derive(Default)]
pub(crate) struct Past {
    /// Whether there is a memory; without one, a request that names its past cannot be answered.
    remembered: bool,
    /// Those that come before its own, oldest first.
    earlier: Vec<String>,
    /// Those that its own stand for, by their place.
    meant: Vec<(usize, String)>,
    /// Those that stand for all its own up to this place, and for whatever came before them.
    window: Option<(usize, Vec<String>)>,
}

impl Past {
    /// The request with its past in it.
    ///
    /// # Errors
    /// When what is stored is no item.
    pub fn with<'a>(&'a self, mut request: Request<'a>) -> Result<Request<'a>, ApiError> {
        for (place, text) in &self.meant {
            if let Some(item) = request.input.get_mut(*place) {
                *item = Item::parse(text, Path::INPUT.index(*place))?;
            }
        }
        if let Some((place, items)) = &self.window {
            request = request.resting_on(parsed(items)?, *place);
        }
        if !self.remembered {
            return Ok(request);
        }
        Ok(request.continuing(parsed(&self.earlier)?))
    }
}

fn parsed(items: &[String]) -> Result<Vec<Item<'_>>, ApiError> {
    let items = items.iter().enumerate();
    items.map(|(place, text)| Item::parse(text, Path::HISTORY.index(place))).collect()
}

/// What came before a request, as far as it names it.
///
/// # Errors
/// 400 where it names what is not there or is too long, or holds what cannot be opened; 409 where it
/// would go on from what is still being made; 503 where the store cannot be read.
pub(crate) async fn recall(exchange: &Exchange, request: &Request<'_>) -> Result<Past, ApiError> {
    let seal = &exchange.gateway.seal;
    let state = exchange.gateway.state.as_deref();
    let mut past = Past { remembered: state.is_some(), ..Past::default() };
    if let Some(state) = state
        && let Some(thread) = Named::in_request(request)?.thread()
    {
        past.earlier = thread_items(exchange, state, &thread).await?;
        since_compaction(seal, &mut past.earlier)?;
    }
    for (place, item) in request.input.iter().enumerate() {
        let path = Path::INPUT.index(place);
        let (meant, held) = match (&*item.kind, state) {
            ("item_reference", Some(state)) => {
                let id = item.required("id", path)?.text().unwrap_or_default();
                let meant = referred(exchange, state, &id, path).await?;
                let held = unsealed(seal, &meant, path)?;
                (Some(meant), held)
            }
            _ if item.is_compaction() => (None, Some(compaction::opened(seal, item, path)?)),
            _ => (None, None),
        };
        match held {
            Some(Sealed::Window(items)) => {
                past.earlier.clear();
                past.window = Some((place, items));
            }
            Some(Sealed::Summary(summary)) => past.meant.push((place, introduced(&summary))),
            None => past.meant.extend(meant.map(|meant| (place, meant))),
        }
    }
    Ok(past)
}

/// Leaves of a history what came after its last compaction, and puts in front what that holds.
fn since_compaction(seal: &Seal, items: &mut Vec<String>) -> Result<(), ApiError> {
    for (place, item) in items.iter().enumerate().rev() {
        let held = match unsealed(seal, item, Path::HISTORY.index(place))? {
            Some(Sealed::Window(items)) => items,
            Some(Sealed::Summary(summary)) => vec![introduced(&summary)],
            None => continue,
        };
        items.splice(..=place, held);
        return Ok(());
    }
    Ok(())
}

/// What an item holds, where it is a compaction.
fn unsealed(seal: &Seal, item: &str, path: Path<'_>) -> Result<Option<Sealed>, ApiError> {
    if !item.contains("\"compaction") {
        return Ok(None);
    }
    let item = Item::parse(item, path)?;
    item.is_compaction().then(|| compaction::opened(seal, &item, path)).transpose()
}

/// What a request names of its past.
pub(crate) struct Named {
    pub previous: Option<Id>,
    pub conversation: Option<Id>,
}

impl Named {
    fn in_request(request: &Request<'_>) -> Result<Named, ApiError> {
        let previous = request.given("previous_response_id").map(|value| {
            let id = value.text().unwrap_or_default();
            id.parse().map_err(|_| unknown_previous(&id))
        });
        let conversation = request.given("conversation").map(|value| {
            let id = if value.is_object() { value.member("id") } else { Some(value) };
            let id = id.and_then(Raw::text).unwrap_or_default();
            id.parse().map_err(|_| unknown_conversation(&id))
        });
        Ok(Named { previous: previous.transpose()?, conversation: conversation.transpose()? })
    }

    fn thread(&self) -> Option<Thread> {
        let previous = self.previous.clone().map(Thread::Turn);
        previous.or_else(|| self.conversation.clone().map(Thread::Conversation))
    }
}

/// All items of a thread: one query, bounded.
async fn thread_items(
    exchange: &Exchange,
    state: &State,
    thread: &Thread,
) -> Result<Vec<String>, ApiError> {
    let history = state.store.history(&exchange.tenant, thread, state.bounds(), now()).await;
    match (history, thread) {
        (Ok(items), _) => Ok(items.into_iter().map(|item| item.json).collect()),
        (Err(StoreError::NotFound(What::Ancestor)), Thread::Turn(id)) => {
            let message = format!(
                "The response '{id}' cannot be continued: a response that it was built on was deleted."
            );
            Err(ApiError::invalid(PREVIOUS, "previous_response_not_found", message))
        }
        (Err(StoreError::Conflict(_)), Thread::Turn(id)) => {
            let message = format!(
                "The response '{id}' cannot be continued: it is still being made. Wait for its end, \
                 or cancel it."
            );
            Err(ApiError {
                status: 409,
                ..ApiError::invalid(PREVIOUS, "response_in_progress", message)
            })
        }
        (Err(StoreError::NotFound(_)), Thread::Turn(id)) => Err(unknown_previous(id.as_str())),
        (Err(StoreError::NotFound(_)), Thread::Conversation(id)) => {
            Err(unknown_conversation(id.as_str()))
        }
        (Err(error), _) => Err(told(error, "")),
    }
}

/// The item that a reference means.
async fn referred(
    exchange: &Exchange,
    state: &State,
    id: &str,
    path: Path<'_>,
) -> Result<String, ApiError> {
    let unknown = || {
        let message = format!("Item with id '{id}' not found.");
        ApiError { status: 404, ..ApiError::invalid(path.member("id"), "item_not_found", message) }
    };
    let parsed = id.parse().map_err(|_| unknown())?;
    match state.store.item(&exchange.tenant, None, &parsed, now()).await {
        Ok(item) => Ok(item.json),
        Err(StoreError::NotFound(_)) => Err(unknown()),
        Err(error) => Err(told(error, id)),
    }
}

const PREVIOUS: &str = "previous_response_id";

/// Codex sends its whole history again when it reads this code (0.169).
fn unknown_previous(id: &str) -> ApiError {
    let message = format!("Previous response with id '{id}' not found.");
    ApiError::invalid(PREVIOUS, "previous_response_not_found", message)
}

fn unknown_conversation(id: &str) -> ApiError {
    let message = format!("Conversation with id '{id}' not found.");
    ApiError { status: 404, ..ApiError::invalid("conversation", "conversation_not_found", message) }
}

/// What is to be stored of a request when its answer is over; none where the client does not want
/// it. Its items are those of the request that is sent ([`own_items`]).
///
/// # Errors
/// As [`recall`].
pub(crate) fn keep(
    exchange: &Exchange,
    asked: &Request<'_>,
    envelope: &Envelope,
) -> Result<Option<Keep>, ApiError> {
    let Some(state) = &exchange.gateway.state else { return Ok(None) };
    let wanted = asked.given("store").and_then(Raw::boolean) != Some(false);
    let background = asked.given("background").and_then(Raw::boolean) == Some(true);
    if background && !wanted {
        let message =
            "A response that is made in the background has to be stored: leave `store` out.";
        return Err(ApiError::invalid("background", "unsupported_value", message));
    }
    let Ok(id) = exchange.response_id().parse::<Id>() else { return Ok(None) };
    if !wanted {
        return Ok(None);
    }
    let Named { previous, conversation } = Named::in_request(asked)?;
    Ok(Some(Keep {
        state: Arc::clone(state),
        tenant: exchange.tenant.clone(),
        id,
        previous,
        conversation,
        input: Vec::new(),
        begun: background.then(|| {
            let mut begun = String::new();
            envelope.clone().stored(true).print(&mut begun, "", &Snapshot::IN_PROGRESS);
            begun
        }),
    }))
}

/// The items of a request as they are stored: each with an id, its own or one made of `stem`.
pub(crate) fn own_items(request: &Request<'_>, stem: &str) -> Vec<StoredItem> {
    let own = request.input.iter().skip(request.inherited()).enumerate();
    let own = own.filter(|(_, item)| item.kind != TRIGGER);
    own.filter_map(|(place, item)| stored(item, stem, place)).collect()
}
