//! The runs that clients asked for with work orders: how each begins, and their receipts, sealed in the
//! order in which the runs ended. The newest are kept, as many as the limits allow; the chain they form
//! begins anew with each start of the gateway.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use latimer_probe::receipt::{SigningKey, hash_of, seal};
use latimer_wire::backplane::{BackendIdentity, Lower, Receipt, RunHead, SupportLevel, WorkOrder};
use latimer_wire::error::ApiError;

use super::capabilities::manifest;
use crate::clock::unix_milliseconds;
use crate::config::{Dialect, Limits};
use crate::gateway::Gateway;

/// The receipts of runs.
pub(crate) struct Runs {
    kept: Mutex<Kept>,
    most: usize,
    most_bytes: usize,
    key: Option<SigningKey>,
}

/// What is kept, the oldest first.
#[derive(Default)]
struct Kept {
    receipts: VecDeque<(String, String)>,
    bytes: usize,
    /// The hash of the last that was sealed.
    head: Option<String>,
}

impl Runs {
    /// With no receipt yet; they are signed where there is a key.
    pub fn new(limits: &Limits, key: Option<SigningKey>) -> Self {
        let kept = Mutex::new(Kept::default());
        Runs { kept, most: limits.receipts, most_bytes: limits.receipts_bytes, key }
    }

    /// Begins the run of a work order.
    ///
    /// # Errors
    /// A 400, `capability_unsupported`, where the backend lacks what is required. What an agent can do
    /// only the agent knows, and it is asked as it is started.
    pub fn begin(
        &self,
        gateway: &Gateway,
        run_id: &str,
        order: &WorkOrder,
    ) -> Result<Lower, ApiError> {
        let capabilities = manifest(gateway);
        let emulated = match gateway.dialect() {
            Dialect::Backplane => Vec::new(),
            _ => order.requirements.check(&capabilities)?,
        };
        let said = |level: &SupportLevel| *level != SupportLevel::Unsupported;
        Ok(Lower::new(RunHead {
            run_id: run_id.to_owned(),
            work_order_id: order.id.clone(),
            backend: BackendIdentity {
                id: gateway.upstream.host(),
                backend_version: None,
                adapter_version: Some(concat!("latimer/", env!("CARGO_PKG_VERSION")).to_owned()),
                ..BackendIdentity::default()
            },
            capabilities: capabilities.into_iter().filter(|(_, level)| said(level)).collect(),
            emulated,
            policy: order.policy.clone(),
            started_at_ms: unix_milliseconds(),
        }))
    }

    /// Seals a receipt as the next, and keeps it. One that cannot be sealed is given back as it is.
    pub fn keep(&self, receipt: &str) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = match seal(receipt, kept.head.as_deref(), self.key.as_ref()) {
            Ok(sealed) => sealed,
            Err(why) => {
                tracing::error!(%why, "a receipt could not be sealed");
                return receipt.to_owned();
            }
        };
        kept.head = hash_of(&sealed);
        let run_id = Receipt::parse(&sealed).map(|receipt| receipt.meta.run_id).unwrap_or_default();
        kept.bytes += sealed.len();
        kept.receipts.push_back((run_id, sealed.clone()));
        while kept.receipts.len() > self.most || kept.bytes > self.most_bytes {
            let Some((_, oldest)) = kept.receipts.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        sealed
    }

    /// The receipt of a run, where it is still kept.
    pub fn find(&self, run_id: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = run_id.replace('-', "");
        let found = kept.receipts.iter().find(|(id, _)| id.replace('-', "") == plain);
        found.map(|(_, receipt)| receipt.clone())
    }
}
