//! Responses in memory: their chains and events.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{KeptTurn, Result, State, bytes_of, json_bytes, row, within};
use crate::memory::MemoryLimits;
use crate::{
    Bounds, EventPage, Id, Measure, StoreError, StoredEvent, StoredItem, Tenant, Turn, Update, What,
};

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
        let copied = joining.as_deref().map_or(0, bytes_of);
        self.reserve(limits, tenant, kept.bytes() + copied)?;
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
        let copied = joining.as_deref().map_or(0, bytes_of);
        let more = turn.response.len() + bytes_of(&output) + copied;
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

    /// The items that a turn brings to its conversation, if it joins one.
    fn joining(
        &self,
        tenant: &Tenant,
        turn: &Turn,
        input: &[StoredItem],
        output: &[StoredItem],
    ) -> Result<Option<Vec<StoredItem>>> {
        match &turn.conversation {
            Some(id) if turn.status.joins_conversation() => {
                match self.conversations.contains_key(&(tenant.clone(), id.clone())) {
                    true => Ok(Some([input, output].concat())),
                    false => Err(StoreError::NotFound(What::Conversation)),
                }
            }
            _ => Ok(None),
        }
    }

    fn join(&mut self, tenant: &Tenant, turn: &Turn, joining: Option<Vec<StoredItem>>) {
        let Some((id, items)) = turn.conversation.as_ref().zip(joining) else { return };
        if let Some(kept) = self.conversations.get_mut(&(tenant.clone(), id.clone())) {
            kept.conversation.expires_at = kept.conversation.expires_at.max(turn.expires_at);
            kept.items.extend(items);
        }
    }

    /// The items of a response and its ancestors, oldest first.
    pub(super) fn chain(
        &self,
        tenant: &Tenant,
        id: &Id,
        bounds: Bounds,
        now: i64,
    ) -> Result<Vec<StoredItem>> {
        let (mut lists, mut seen) = (Vec::new(), BTreeSet::new());
        let (mut items, mut bytes) = (0, 0);
        let asked = self.turn(tenant, id, now)?;
        if asked.turn.status.is_open() {
            return Err(StoreError::Conflict(What::Response));
        }
        let mut next = Some(asked);
        while let Some(kept) = next {
            if !seen.insert(&kept.turn.id) {
                return Err(StoreError::Corrupt("a chain of responses that bites its tail".into()));
            }
            for list in [&*kept.output, &*kept.input] {
                items += list.len();
                bytes += json_bytes(list);
                lists.push(list);
            }
            within(Measure::Links, seen.len(), bounds.links.into())?;
            within(Measure::Items, items, bounds.items.into())?;
            within(Measure::Bytes, bytes, bounds.bytes)?;
            let ancestor = |previous: &Id| {
                let kept = self.turns.get(&(tenant.clone(), previous.clone()));
                kept.ok_or(StoreError::NotFound(What::Ancestor))
            };
            next = kept.turn.previous.as_ref().map(ancestor).transpose()?;
        }
        lists.reverse();
        Ok(lists.concat())
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
}
