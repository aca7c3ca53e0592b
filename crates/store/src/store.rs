//! The one trait. Everything a gateway remembers goes through it; what it may rely on is said here
//! and held by one suite of cases over all implementations (`tests/store/conformance.rs`).

use std::pin::Pin;

use crate::{
    Bounds, Conversation, EventPage, Id, ItemPage, Page, StoreError, StoredEvent, StoredItem,
    Tenant, Thread, Turn, Update,
};

/// What comes of an operation, in a while. Once begun, a write may be done although nobody waits.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A memory for responses and conversations.
///
/// - What is acknowledged is committed; what fails has left nothing behind, but for
///   [`StoreError::Gone`], after which nobody knows.
/// - Another tenant's id is an unknown id.
/// - What has expired at `now` is unknown. `now` is seconds since 1970.
/// - Nothing waits without an end: what takes too long is [`StoreError::Busy`].
pub trait Store: Send + Sync {
    /// Whether it can be reached and read.
    fn ready(&self) -> Pending<'_, ()>;

    /// Remembers a new turn with its own input and its output, which is kept if it has ended. A turn that has
    /// ended so that it [joins its conversation](crate::TurnStatus::joins_conversation) is appended
    /// to it in the same step.
    ///
    /// # Errors
    /// `Conflict` when the id is taken, `NotFound` when the conversation is gone, `Full`.
    fn put<'a>(
        &'a self,
        tenant: &'a Tenant,
        turn: Turn,
        input: Vec<StoredItem>,
        output: Vec<StoredItem>,
    ) -> Pending<'a, ()>;

    /// Says how an open turn goes on; of several that end it, one wins. It joins its conversation
    /// as with [`Store::put`].
    ///
    /// # Errors
    /// `Conflict` when it has ended before, `NotFound`, `Full`.
    fn update<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, update: Update) -> Pending<'a, ()>;

    /// A turn without its items.
    fn turn<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, now: i64) -> Pending<'a, Turn>;

    /// All items of a thread, oldest first, in one bounded query. In a chain of responses each gives
    /// its input, then its output; ancestors count although they have expired.
    ///
    /// # Errors
    /// `Conflict` for a response that is still open, `TooLong` beyond a bound, `NotFound` with [`What::Ancestor`](crate::What::Ancestor) where an
    /// ancestor was deleted, `Corrupt` where a chain bites its tail.
    fn history<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        bounds: Bounds,
        now: i64,
    ) -> Pending<'a, Vec<StoredItem>>;

    /// A part of a response's own input, or of a conversation.
    ///
    /// # Errors
    /// `NotFound` with [`What::Item`](crate::What::Item) when `after` is not in it.
    fn items<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        page: Page,
        now: i64,
    ) -> Pending<'a, ItemPage>;

    /// The item of that id, in that conversation or, without one, wherever it was last seen.
    fn item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Option<&'a Id>,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, StoredItem>;

    /// Forgets a response with its items and events, or a conversation with its items. Items that
    /// are elsewhere too stay there.
    fn delete<'a>(&'a self, tenant: &'a Tenant, thread: &'a Thread, now: i64) -> Pending<'a, ()>;

    /// Opens a conversation.
    ///
    /// # Errors
    /// `Conflict` when the id is taken, `Full`.
    fn open<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Conversation,
        items: Vec<StoredItem>,
    ) -> Pending<'a, ()>;

    /// A conversation without its items.
    fn conversation<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, Conversation>;

    /// Replaces what is attached to a conversation.
    fn set_metadata<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        metadata: String,
        now: i64,
    ) -> Pending<'a, ()>;

    /// Appends items to a conversation, all or none.
    ///
    /// # Errors
    /// `NotFound`, `Full`.
    fn append<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        items: Vec<StoredItem>,
        now: i64,
    ) -> Pending<'a, ()>;

    /// Removes an item from a conversation.
    fn remove_item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, ()>;

    /// Keeps events of a response that is open, all or none.
    ///
    /// # Errors
    /// `Conflict` with [`What::Response`](crate::What::Response) when the response has ended, as by
    /// another gateway that cancelled it; with [`What::Event`](crate::What::Event) when a sequence
    /// number is taken; `NotFound`, `Full`.
    fn append_events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        events: Vec<StoredEvent>,
    ) -> Pending<'a, ()>;

    /// The events of a response after a sequence number, at most `limit` of them.
    fn events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        after: Option<i64>,
        limit: u32,
        now: i64,
    ) -> Pending<'a, EventPage>;

    /// A gateway says that it lives until then; a time in the past says good-bye. Its id is its
    /// process's own, never used again. It says so before it puts its first open turn, and the times
    /// are long against the differences between the clocks of several gateways.
    fn renew<'a>(&'a self, owner: &'a Id, until: i64) -> Pending<'a, ()>;

    /// Open turns that nobody alive owns, at most `limit`. Whoever finds one says with
    /// [`Store::update`] that it failed; one wins.
    fn orphans(&self, now: i64, limit: u32) -> Pending<'_, Vec<(Tenant, Turn)>>;

    /// Forgets what has expired, at most `limit` turns and as many conversations, and says how many
    /// it were. To be called until it says 0: of a chain, each call takes the last. A turn in the
    /// making may build on what expires meanwhile, so `now` had better be an hour ago.
    fn expire(&self, now: i64, limit: u32) -> Pending<'_, u64>;
}
