//! Conversations: lists of items that a client opens, reads and changes, and to which each turn that
//! names them is appended.

use latimer_store::{Conversation, Id, ItemPage, StoredItem, Thread};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::path::Path;
use latimer_wire::responses::{Item, check_metadata};

use super::desk::{Desk, deletion, known};
use super::items::{shown, stored};
use super::{Listing, now};

/// How many items a client may add at once (OpenAI's bound).
const ITEMS_MAX: usize = 20;

impl Desk<'_> {
    pub async fn open_conversation(&self) -> Result<String, ApiError> {
        let items = match self.body.member("items").and_then(Raw::non_null) {
            Some(_) => self.given_items()?,
            None => Vec::new(),
        };
        let id = format!("conv_{}", self.exchange.id);
        let id = id.parse().map_err(|_| super::unavailable())?;
        let conversation = Conversation {
            id,
            created_at: now(),
            expires_at: self.state.expiry(),
            metadata: self.given_metadata()?.unwrap_or("{}").to_owned(),
        };
        let shown = print(&conversation);
        let opened =
            self.state.store.open(&self.exchange.tenant, conversation.clone(), items).await;
        known(opened, &conversation.id)?;
        Ok(shown)
    }

    pub async fn conversation(&self, id: &Id) -> Result<String, ApiError> {
        let found = self.state.store.conversation(&self.exchange.tenant, id, now()).await;
        Ok(print(&known(found, id)?))
    }

    pub async fn update_conversation(&self, id: &Id) -> Result<String, ApiError> {
        if let Some(metadata) = self.given_metadata()? {
            let tenant = &self.exchange.tenant;
            let set = self.state.store.set_metadata(tenant, id, metadata.to_owned(), now());
            known(set.await, id)?;
        }
        self.conversation(id).await
    }

    pub async fn delete_conversation(&self, id: &Id) -> Result<String, ApiError> {
        let thread = Thread::Conversation(id.clone());
        known(self.state.store.delete(&self.exchange.tenant, &thread, now()).await, id)?;
        Ok(deletion("conversation.deleted", id))
    }

    pub async fn list_items(&self, id: &Id) -> Result<String, ApiError> {
        let page = Listing::asked(&self.query)?;
        let thread = Thread::Conversation(id.clone());
        let items = self.state.store.items(&self.exchange.tenant, &thread, page, now()).await;
        self.listed(&known(items, id)?)
    }

    pub async fn add_items(&self, id: &Id) -> Result<String, ApiError> {
        let items = self.given_items()?;
        let added = self.state.store.append(&self.exchange.tenant, id, items.clone(), now()).await;
        known(added, id)?;
        self.listed(&ItemPage { items, has_more: false })
    }

    pub async fn item(&self, id: &Id, item: &Id) -> Result<String, ApiError> {
        self.conversation(id).await?;
        let found = self.state.store.item(&self.exchange.tenant, Some(id), item, now()).await;
        Ok(shown(&known(found, item)?.json, &self.included()?))
    }

    /// Removes an item, and gives the conversation.
    pub async fn remove_item(&self, id: &Id, item: &Id) -> Result<String, ApiError> {
        let conversation = self.conversation(id).await?;
        known(self.state.store.remove_item(&self.exchange.tenant, id, item, now()).await, item)?;
        Ok(conversation)
    }

    /// The items in the body, each with an id.
    fn given_items(&self) -> Result<Vec<StoredItem>, ApiError> {
        let path = Path::of("items");
        let given = self.body.member("items").filter(|items| items.is_array());
        let Some(given) = given.map(Raw::elements).filter(|items| items.len() <= ITEMS_MAX) else {
            let message = format!("`items` has to be a list of at most {ITEMS_MAX} items.");
            return Err(ApiError::invalid(path, "invalid_value", message));
        };
        let read = |(place, item): (usize, Raw<'_>)| {
            let item = Item::parse(item.as_str(), path.index(place))?;
            Ok(stored(&item, &self.exchange.id, place))
        };
        let items: Result<Vec<_>, ApiError> = given.into_iter().enumerate().map(read).collect();
        Ok(items?.into_iter().flatten().collect())
    }

    fn given_metadata(&self) -> Result<Option<&str>, ApiError> {
        let Some(metadata) = self.body.member("metadata").and_then(Raw::non_null) else {
            return Ok(None);
        };
        check_metadata(metadata)?;
        Ok(Some(metadata.as_str()))
    }
}

fn print(conversation: &Conversation) -> String {
    let mut out = String::new();
    Object::new(&mut out)
        .text("id", conversation.id.as_str())
        .text("object", "conversation")
        .number("created_at", conversation.created_at.unsigned_abs())
        .raw("metadata", Raw::unchecked(&conversation.metadata))
        .end();
    out
}
