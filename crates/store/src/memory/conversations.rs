//! Conversations in memory.

use super::state::{KeptConversation, Result, State, bytes_of};
use crate::memory::MemoryLimits;
use crate::{Conversation, Id, StoreError, StoredItem, Tenant, What};

impl State {
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
}
