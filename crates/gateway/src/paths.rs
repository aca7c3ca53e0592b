//! What is served where: one table of paths and methods. In: a method and a path. Out: the room
//! behind it and the ids in the path, or an error that says what is served instead. Nothing is
//! looked up here but the table.

use http::{HeaderValue, Method, header};
use http::{Response, StatusCode};
use latimer_store::Id;
use latimer_wire::error::ApiError;

use crate::answer::{Answer, refusal};
use crate::route::Door;

/// What is behind a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Health,
    Models,
    Model(Door),
    /// What the backend can do.
    Capabilities,
    /// The receipt of a run.
    Receipt,
    /// Something that is kept between requests.
    State(Act),
}

/// What is done with what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    GetResponse,
    DeleteResponse,
    CancelResponse,
    ListInputItems,
    OpenConversation,
    GetConversation,
    UpdateConversation,
    DeleteConversation,
    ListItems,
    AddItems,
    GetItem,
    RemoveItem,
}

/// The paths that are answered, and by which methods. `{}` stands for an id. Of two paths that fit, the
/// first counts.
const PATHS: &[(&str, Method, Room)] = &[
    ("/healthz", Method::GET, Room::Health),
    ("/v1/models", Method::GET, Room::Models),
    ("/v1/responses", Method::POST, Room::Model(Door::Responses)),
    ("/v1/responses/compact", Method::POST, Room::Model(Door::Compact)),
    ("/v1/responses/input_tokens", Method::POST, Room::Model(Door::Count)),
    ("/v1/responses/{}", Method::GET, Room::State(Act::GetResponse)),
    ("/v1/responses/{}", Method::DELETE, Room::State(Act::DeleteResponse)),
    ("/v1/responses/{}/cancel", Method::POST, Room::State(Act::CancelResponse)),
    ("/v1/responses/{}/input_items", Method::GET, Room::State(Act::ListInputItems)),
    ("/v1/conversations", Method::POST, Room::State(Act::OpenConversation)),
    ("/v1/conversations/{}", Method::GET, Room::State(Act::GetConversation)),
    ("/v1/conversations/{}", Method::POST, Room::State(Act::UpdateConversation)),
    ("/v1/conversations/{}", Method::DELETE, Room::State(Act::DeleteConversation)),
    ("/v1/conversations/{}/items", Method::GET, Room::State(Act::ListItems)),
    ("/v1/conversations/{}/items", Method::POST, Room::State(Act::AddItems)),
    ("/v1/conversations/{}/items/{}", Method::GET, Room::State(Act::GetItem)),
    ("/v1/conversations/{}/items/{}", Method::DELETE, Room::State(Act::RemoveItem)),
    ("/v1/chat/completions", Method::POST, Room::Model(Door::Chat)),
    ("/v1/completions", Method::POST, Room::Model(Door::Plain("/completions"))),
    ("/backplane/v1/run", Method::POST, Room::Model(Door::Backplane)),
    ("/backplane/v1/capabilities", Method::GET, Room::Capabilities),
    ("/backplane/v1/receipts/{}", Method::GET, Room::Receipt),
    ("/v1/embeddings", Method::POST, Room::Model(Door::Plain("/embeddings"))),
];

/// How much of a path that is not served an error gives back, in characters.
const PATH_CHARS: usize = 200;

/// The answer to a request for which there is no room.
pub(crate) type Unserved = Box<Response<Answer>>;

/// The room for a request, and the ids in its path.
///
/// # Errors
/// 404 where nothing is served, 405 with the methods that are allowed, 400 for what cannot be an id.
pub(crate) fn find(method: &Method, path: &str) -> Result<(Room, Vec<Id>), Unserved> {
    let Some((pattern, ids)) = PATHS.iter().find_map(|(p, ..)| Some((*p, matched(p, path)?)))
    else {
        return Err(refusal(&not_served(path)).into());
    };
    let row = PATHS.iter().find(|(known, by, _)| *known == pattern && by == method);
    let Some((.., room)) = row else { return Err(not_allowed(method, pattern).into()) };
    let ids: Result<Vec<Id>, _> = ids.into_iter().map(str::parse).collect();
    ids.map(|ids| (*room, ids)).map_err(|invalid| {
        let message = format!("Latimer: the path holds what is no id: {invalid}.");
        refusal(&ApiError::invalid("id", "invalid_value", message)).into()
    })
}

/// The ids in a path of this pattern.
fn matched<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut ids = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{}"), Some(id)) if !id.is_empty() => ids.push(id),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

fn not_allowed(method: &Method, pattern: &str) -> Response<Answer> {
    let allowed = PATHS.iter().filter(|(known, ..)| *known == pattern);
    let allowed: Vec<_> = allowed.map(|(_, method, _)| method.as_str()).collect();
    let allowed = allowed.join(", ");
    let path = pattern.replace("{}", "{id}");
    let message = format!("Latimer: {method} is not allowed on {path}; use {allowed}.");
    let error = ApiError::invalid("", "method_not_allowed", message);
    let status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
    let mut response = refusal(&ApiError { status, ..error });
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn not_served(path: &str) -> ApiError {
    let served = PATHS.iter().map(|(path, method, _)| format!("{method} {path}"));
    let served = served.collect::<Vec<_>>().join(", ").replace("{}", "{id}");
    let path: String = path.chars().take(PATH_CHARS).collect();
    let message = format!("Latimer: nothing is served at {path}. Served are: {served}.");
    ApiError { status: 404, ..ApiError::invalid("", "not_found", message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(method: Method, path: &str) -> Result<(Room, Vec<String>), u16> {
        let found = find(&method, path).map_err(|response| response.status().as_u16())?;
        Ok((found.0, found.1.iter().map(Id::to_string).collect()))
    }

    #[test]
    fn a_path_leads_to_its_room_with_its_ids() {
        let get = Room::State(Act::GetResponse);
        assert_eq!(room(Method::GET, "/v1/responses/resp_1"), Ok((get, vec!["resp_1".to_owned()])));
        let items = Room::State(Act::ListInputItems);
        assert_eq!(
            room(Method::GET, "/v1/responses/resp_1/input_items"),
            Ok((items, vec!["resp_1".to_owned()]))
        );
        assert_eq!(room(Method::GET, "/v1/responses/"), Err(404));
        assert_eq!(room(Method::GET, "/v1/responses/a/b"), Err(404));
        assert_eq!(room(Method::PUT, "/v1/responses/resp_1"), Err(405));
        for id in ["..", "a%2Fb", "'", &"a".repeat(129)] {
            assert_eq!(room(Method::GET, &format!("/v1/responses/{id}")), Err(400), "{id}");
        }
    }
}
