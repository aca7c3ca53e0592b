//! What a store in memory holds, and its operations as plain functions. Each checks first and
//! changes after, so that one that fails has changed nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::MemoryLimits;
use crate::{
    Bounds, Conversation, EventPage, Id, ItemPage, Measure, Page, StoreError, StoredEvent,
    StoredItem, Tenant, Thread, Turn, Update, What,
};

/// What a row takes besides its texts, in bytes; an estimate.
const ROW_BYTES: usize = 128;

type Result<T> = std::result::Result<T, StoreError>;
type Key = (Tenant, Id);

#[derive(Debug, Default)]
pub(super) struct State {
    turns: BTreeMap<Key, KeptTurn>,
    conversations: BTreeMap<Key, KeptConversation>,
    /// Until when each gateway lives.
    pub(super) owners: BTreeMap<Id, i64>,
    bytes: BTreeMap<Tenant, u64>,
}

#[derive(Debug)]
pub(super) struct KeptTurn {
    pub(super) turn: Turn,
    input: Vec<StoredItem>,
    output: Vec<StoredItem>,
    events: BTreeMap<i64, String>,
}

#[derive(Debug)]
pub(super) struct KeptConversation {
    pub(super) conversation: Conversation,
    items: Vec<StoredItem>,
}

impl State {
    pub(super) fn put(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        turn: Turn,
        input: Vec<StoredItem>,
        output: Vec<StoredItem>,
    ) -> Result<()> {
        let key = (tenant.clone(), turn.id.clone());
        if self.turns.contains_key(&key) {
            return Err(StoreError::Conflict(What::Response));
        }
        let output = if turn.status.is_open() { Vec::new() } else { output };
        let joining = self.joining(tenant, &turn, &input, &output)?;
        let kept = KeptTurn { turn, input, output, events: BTreeMap::new() };
        self.reserve(limits, tenant, kept.bytes() + bytes_of(&joining))?;
        self.join(tenant, &kept.turn, joining);
        self.turns.insert(key, kept);
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        id: &Id,
        update: Update,
    ) -> Result<()> {
        let key = (tenant.clone(), id.clone());
        let kept = self.turns.get(&key).ok_or(StoreError::NotFound(What::Response))?;
        if !kept.turn.status.is_open() {
            return Err(StoreError::Conflict(What::Response));
        }
        let Update { status, response, output } = update;
        let owner = kept.turn.owner.clone().filter(|_| status.is_open());
        let output = if status.is_open() { Vec::new() } else { output };
        let before = kept.turn.response.len();
        let turn = Turn { status, response, owner, ..kept.turn.clone() };
        let joining = self.joining(tenant, &turn, &kept.input, &output)?;
        let more = turn.response.len() + bytes_of(&output) + bytes_of(&joining);
        self.reserve(limits, tenant, more)?;
        self.release(tenant, before);
        self.join(tenant, &turn, joining);
        if let Some(kept) = self.turns.get_mut(&key) {
            (kept.turn, kept.output) = (turn, output);
        }
        Ok(())
    }

    pub(super) fn turn(&self, tenant: &Tenant, id: &Id, now: i64) -> Result<&KeptTurn> {
        let kept = self.turns.get(&(tenant.clone(), id.clone()));
        let kept = kept.filter(|kept| kept.turn.expires_at > now);
        kept.ok_or(StoreError::NotFound(What::Response))
    }

    /// The items that a turn brings to its conversation.
    fn joining(
        &self,
        tenant: &Tenant,
        turn: &Turn,
        input: &[StoredItem],
        output: &[StoredItem],
    ) -> Result<Vec<StoredItem>> {
        let Some(conversation) = turn.conversation.as_ref() else { return Ok(Vec::new()) };
        if !turn.status.joins_conversation() {
            return Ok(Vec::new());
        }
        match self.conversations.contains_key(&(tenant.clone(), conversation.clone())) {
            true => Ok([input, output].concat()),
            false => Err(StoreError::NotFound(What::Conversation)),
        }
    }

    fn join(&mut self, tenant: &Tenant, turn: &Turn, items: Vec<StoredItem>) {
        let Some(conversation) = turn.conversation.as_ref() else { return };
        if let Some(kept) = self.conversations.get_mut(&(tenant.clone(), conversation.clone())) {
            kept.conversation.expires_at = kept.conversation.expires_at.max(turn.expires_at);
            kept.items.extend(items);
        }
    }

    pub(super) fn history(
        &self,
        tenant: &Tenant,
        thread: &Thread,
        bounds: Bounds,
        now: i64,
    ) -> Result<Vec<StoredItem>> {
        let lists = match thread {
            Thread::Turn(id) => self.chain(tenant, id, bounds, now)?,
            Thread::Conversation(id) => vec![&*self.conversation(tenant, id, now)?.items],
        };
        let items: u64 = lists.iter().map(|list| list.len() as u64).sum();
        let bytes: usize =
            lists.iter().flat_map(|list| list.iter()).map(|item| item.json.len()).sum();
        within(Measure::Items, items, bounds.items.into())?;
        within(Measure::Bytes, bytes as u64, bounds.bytes)?;
        Ok(lists.concat())
    }

    /// The lists of items of a response and its ancestors, oldest first.
    fn chain(
        &self,
        tenant: &Tenant,
        id: &Id,
        bounds: Bounds,
        now: i64,
    ) -> Result<Vec<&[StoredItem]>> {
        let (mut lists, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = Some(self.turn(tenant, id, now)?);
        while let Some(kept) = next {
            if !seen.insert(&kept.turn.id) {
                return Err(StoreError::Corrupt("a chain of responses that bites its tail".into()));
            }
            within(Measure::Links, seen.len() as u64, bounds.links.into())?;
            lists.extend([&*kept.output, &*kept.input]);
            next = match &kept.turn.previous {
                None => None,
                Some(previous) => {
                    let kept = self.turns.get(&(tenant.clone(), previous.clone()));
                    Some(kept.ok_or(StoreError::NotFound(What::Ancestor))?)
                }
            };
        }
        lists.reverse();
        Ok(lists)
    }

    pub(super) fn items(
        &self,
        tenant: &Tenant,
        thread: &Thread,
        page: &Page,
        now: i64,
    ) -> Result<ItemPage> {
        let list = match thread {
            Thread::Turn(id) => &self.turn(tenant, id, now)?.input,
            Thread::Conversation(id) => &self.conversation(tenant, id, now)?.items,
        };
        let place = page.after.as_ref().map(|after| {
            let place = list.iter().rposition(|item| item.id == *after);
            place.ok_or(StoreError::NotFound(What::Item))
        });
        let place = place.transpose()?;
        let limit = page.limit as usize;
        let wanted: Vec<_> = match page.descending {
            false => list.iter().skip(place.map_or(0, |place| place + 1)).take(limit + 1).collect(),
            true => list.iter().take(place.unwrap_or(list.len())).rev().take(limit + 1).collect(),
        };
        let has_more = wanted.len() > limit;
        Ok(ItemPage { items: wanted.into_iter().take(limit).cloned().collect(), has_more })
    }

    pub(super) fn item(
        &self,
        tenant: &Tenant,
        conversation: Option<&Id>,
        id: &Id,
        now: i64,
    ) -> Result<StoredItem> {
        let found = match conversation {
            Some(conversation) => {
                let items = &self.conversation(tenant, conversation, now)?.items;
                items.iter().rev().find(|item| item.id == *id)
            }
            None => self.item_anywhere(tenant, id, now),
        };
        found.cloned().ok_or(StoreError::NotFound(What::Item))
    }

    fn item_anywhere<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &Id,
        now: i64,
    ) -> Option<&'a StoredItem> {
        let turns = of(&self.turns, tenant).filter(|kept| kept.turn.expires_at > now);
        let in_turns = turns.flat_map(|kept| {
            let items = kept.input.iter().chain(&kept.output);
            items.map(|item| (kept.turn.created_at, item))
        });
        let conversations = of(&self.conversations, tenant);
        let conversations = conversations.filter(|kept| kept.conversation.expires_at > now);
        let in_conversations = conversations
            .flat_map(|kept| kept.items.iter().map(|item| (kept.conversation.created_at, item)));
        let all = in_turns.chain(in_conversations).filter(|(_, item)| item.id == *id);
        all.max_by_key(|(seen_at, _)| *seen_at).map(|(_, item)| item)
    }

    pub(super) fn delete(&mut self, tenant: &Tenant, thread: &Thread, now: i64) -> Result<()> {
        let bytes = match thread {
            Thread::Turn(id) => {
                let bytes = self.turn(tenant, id, now)?.bytes();
                self.turns.remove(&(tenant.clone(), id.clone()));
                bytes
            }
            Thread::Conversation(id) => {
                let bytes = self.conversation(tenant, id, now)?.bytes();
                self.conversations.remove(&(tenant.clone(), id.clone()));
                bytes
            }
        };
        self.release(tenant, bytes);
        Ok(())
    }

    pub(super) fn open(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        conversation: Conversation,
        items: Vec<StoredItem>,
    ) -> Result<()> {
        let key = (tenant.clone(), conversation.id.clone());
        if self.conversations.contains_key(&key) {
            return Err(StoreError::Conflict(What::Conversation));
        }
        let kept = KeptConversation { conversation, items };
        self.reserve(limits, tenant, kept.bytes())?;
        self.conversations.insert(key, kept);
        Ok(())
    }

    pub(super) fn conversation(
        &self,
        tenant: &Tenant,
        id: &Id,
        now: i64,
    ) -> Result<&KeptConversation> {
        let kept = self.conversations.get(&(tenant.clone(), id.clone()));
        let kept = kept.filter(|kept| kept.conversation.expires_at > now);
        kept.ok_or(StoreError::NotFound(What::Conversation))
    }

    /// A conversation to be changed. It is there: it was found before.
    fn found(&mut self, tenant: &Tenant, id: &Id) -> Result<&mut KeptConversation> {
        let kept = self.conversations.get_mut(&(tenant.clone(), id.clone()));
        kept.ok_or(StoreError::NotFound(What::Conversation))
    }

    pub(super) fn set_metadata(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        id: &Id,
        metadata: String,
        now: i64,
    ) -> Result<()> {
        let before = self.conversation(tenant, id, now)?.conversation.metadata.len();
        self.reserve(limits, tenant, metadata.len())?;
        self.release(tenant, before);
        self.found(tenant, id)?.conversation.metadata = metadata;
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        conversation: &Id,
        items: Vec<StoredItem>,
        now: i64,
    ) -> Result<()> {
        self.conversation(tenant, conversation, now)?;
        self.reserve(limits, tenant, bytes_of(&items))?;
        self.found(tenant, conversation)?.items.extend(items);
        Ok(())
    }

    pub(super) fn remove_item(
        &mut self,
        tenant: &Tenant,
        conversation: &Id,
        id: &Id,
        now: i64,
    ) -> Result<()> {
        self.item(tenant, Some(conversation), id, now)?;
        let kept = self.found(tenant, conversation)?;
        let removed: Vec<_> = kept.items.extract_if(.., |item| item.id == *id).collect();
        self.release(tenant, bytes_of(&removed));
        Ok(())
    }

    pub(super) fn append_events(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        response: &Id,
        events: Vec<StoredEvent>,
    ) -> Result<()> {
        let key = (tenant.clone(), response.clone());
        let kept = self.turns.get(&key).ok_or(StoreError::NotFound(What::Response))?;
        if !kept.turn.status.is_open() {
            return Err(StoreError::Conflict(What::Response));
        }
        let mut fresh = BTreeSet::new();
        let mut taken = |event: &StoredEvent| {
            kept.events.contains_key(&event.sequence) || !fresh.insert(event.sequence)
        };
        if events.iter().any(&mut taken) {
            return Err(StoreError::Conflict(What::Event));
        }
        self.reserve(limits, tenant, events.iter().map(|event| row(&event.json)).sum())?;
        if let Some(kept) = self.turns.get_mut(&key) {
            kept.events.extend(events.into_iter().map(|event| (event.sequence, event.json)));
        }
        Ok(())
    }

    pub(super) fn events(
        &self,
        tenant: &Tenant,
        response: &Id,
        after: Option<i64>,
        limit: u32,
        now: i64,
    ) -> Result<EventPage> {
        let kept = self.turn(tenant, response, now)?;
        let later =
            kept.events.iter().filter(|(sequence, _)| after.is_none_or(|after| **sequence > after));
        let events = later
            .take(limit as usize)
            .map(|(sequence, json)| StoredEvent { sequence: *sequence, json: json.clone() });
        Ok(EventPage { status: kept.turn.status, events: events.collect() })
    }

    pub(super) fn orphans(&self, now: i64, limit: u32) -> Vec<(Tenant, Turn)> {
        let lives = |owner: &Id| self.owners.get(owner).is_some_and(|until| *until > now);
        let orphaned =
            |turn: &Turn| turn.status.is_open() && !turn.owner.as_ref().is_some_and(lives);
        let turns = self.turns.iter().map(|((tenant, _), kept)| (tenant, &kept.turn));
        let orphans = turns.filter(|(_, turn)| orphaned(turn)).take(limit as usize);
        orphans.map(|(tenant, turn)| (tenant.clone(), turn.clone())).collect()
    }

    pub(super) fn expire(&mut self, now: i64, limit: u32) -> u64 {
        self.owners.retain(|_, until| *until > now);
        let built_on: BTreeSet<Key> = self
            .turns
            .iter()
            .filter_map(|((tenant, _), kept)| Some((tenant.clone(), kept.turn.previous.clone()?)))
            .collect();
        let old = |(key, kept): (&Key, &KeptTurn)| {
            let expired = kept.turn.expires_at <= now && !built_on.contains(key);
            expired.then(|| (key.clone(), kept.bytes()))
        };
        let turns: Vec<_> = self.turns.iter().filter_map(old).take(limit as usize).collect();
        let old = |(key, kept): (&Key, &KeptConversation)| {
            (kept.conversation.expires_at <= now).then(|| (key.clone(), kept.bytes()))
        };
        let conversations: Vec<_> =
            self.conversations.iter().filter_map(old).take(limit as usize).collect();
        for (key, bytes) in &turns {
            self.turns.remove(key);
            self.release(&key.0, *bytes);
        }
        for (key, bytes) in &conversations {
            self.conversations.remove(key);
            self.release(&key.0, *bytes);
        }
        (turns.len() + conversations.len()) as u64
    }

    /// Makes room, or says that there is none.
    fn reserve(&mut self, limits: &MemoryLimits, tenant: &Tenant, more: usize) -> Result<()> {
        let total: u64 = self.bytes.values().sum();
        let own = self.bytes.entry(tenant.clone()).or_default();
        if *own + more as u64 > limits.tenant_bytes {
            return Err(StoreError::Full("the tenant has used up its share"));
        }
        if total + more as u64 > limits.total_bytes {
            return Err(StoreError::Full("the memory for all tenants is used up"));
        }
        *own += more as u64;
        Ok(())
    }

    fn release(&mut self, tenant: &Tenant, less: usize) {
        if let Some(own) = self.bytes.get_mut(tenant) {
            *own = own.saturating_sub(less as u64);
        }
    }
}

impl KeptTurn {
    fn bytes(&self) -> usize {
        let events: usize = self.events.values().map(|json| row(json)).sum();
        row(&self.turn.response) + bytes_of(&self.input) + bytes_of(&self.output) + events
    }
}

impl KeptConversation {
    fn bytes(&self) -> usize {
        row(&self.conversation.metadata) + bytes_of(&self.items)
    }
}

/// What a tenant has, of all that is kept by key.
fn of<'a, T>(kept: &'a BTreeMap<Key, T>, tenant: &'a Tenant) -> impl Iterator<Item = &'a T> {
    let values = kept.iter().filter(move |((owner, _), _)| owner == tenant);
    values.map(|(_, value)| value)
}

fn row(json: &str) -> usize {
    json.len() + ROW_BYTES
}

fn bytes_of(items: &[StoredItem]) -> usize {
    items.iter().map(|item| row(&item.json)).sum()
}

fn within(measure: Measure, value: u64, limit: u64) -> Result<()> {
    if value > limit { Err(StoreError::TooLong { measure, limit }) } else { Ok(()) }
}
