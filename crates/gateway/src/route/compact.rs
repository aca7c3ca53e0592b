//! A request that is longer than its client allows is summed up before it is answered
//! (`context_management`). In: a request with its past in it. Out: the same with a summary in the place
//! of what came before the last turn, and the compaction item that the answer begins with. Where no
//! summary can be had the request stays as it is, and a note says so.

use std::sync::Arc;

use latimer_wire::json::Raw;
use latimer_wire::path::Path;
use latimer_wire::responses::{Envelope, Item, Request, Usage};

use super::hub::{BYTES_PER_TOKEN, sent};
use crate::clock::unix_seconds;
use crate::compaction::{self, Sealed, introduced, sealed, text_of};
use crate::config::Timeouts;
use crate::ledger::Exchange;
use crate::translation::{Preface, Source, Whole};
use crate::upstream::Ask;

/// A summary, and what it took to make it.
pub(super) struct Summed {
    /// As the message that it is to the model.
    message: String,
    /// Which items it stands for.
    items: std::ops::Range<usize>,
    usage: Option<Usage>,
}

/// Sums a request up, where its client wants that and it is long enough.
pub(super) async fn summed(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    request: &Request<'_>,
    envelope: &Envelope,
) -> Option<Summed> {
    let threshold = threshold(exchange, request)?;
    let most = usize::try_from(threshold).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_TOKEN);
    if request.bytes_to_read() <= most {
        return None;
    }
    let items = request.compactable(most);
    if items.is_empty() {
        let why = "it holds nothing but instructions, tools and its last turn";
        exchange.notes.add("input_not_compacted", why);
        return None;
    }
    let gateway = Arc::clone(&exchange.gateway);
    let prompt = compaction::message(gateway.compaction_prompt());
    let summary = match Item::parse(&prompt, Path::INPUT) {
        Ok(prompt) => {
            let asked = request.clone().until(items.end).asking_for_summary(prompt);
            match sent(exchange, head, &asked, envelope.clone()) {
                Ok((ask, source)) => said(exchange, &ask, source).await,
                Err(error) => Err(error.message),
            }
        }
        Err(error) => Err(error.message),
    };
    match summary {
        Ok((summary, usage)) => {
            exchange.notes.add("input_compacted", format!("{} items", items.len()));
            Some(Summed { message: introduced(&summary), items, usage })
        }
        Err(why) => {
            exchange.notes.add("input_not_compacted", why);
            None
        }
    }
}

/// From how many tokens on a request is to be compacted; none where that is not wanted.
fn threshold(exchange: &mut Exchange, request: &Request<'_>) -> Option<u64> {
    let (wanted, threshold) = request.wants_management();
    let usual = || exchange.gateway.context_tokens().map(|window| window / 5 * 4);
    let known = threshold.or_else(usual);
    if wanted && known.is_none() {
        let why = "neither `compact_threshold` nor the backend's `context_tokens` is known";
        exchange.notes.add("input_not_compacted", why);
    }
    known.filter(|_| wanted)
}

/// The backend's summary.
///
/// # Errors
/// In words.
async fn said(
    exchange: &mut Exchange,
    ask: &Ask,
    source: Box<dyn Source>,
) -> Result<(String, Option<Usage>), String> {
    let gateway = Arc::clone(&exchange.gateway);
    let reply = gateway.upstream.send(ask).await.map_err(|error| error.to_string())?;
    exchange.attempts += reply.attempts;
    let status = reply.head.status;
    if !status.is_success() {
        return Err(format!("the backend {} answered {status}", exchange.hop()));
    }
    let settings = &gateway.settings;
    let idle = Timeouts::of(settings.timeouts.idle_ms);
    let body = reply.body.collect(settings.limits.answer_bytes, idle).await?;
    let whole = Whole::lifted(source, &body, unix_seconds()).map_err(|failure| failure.message)?;
    let response = String::from_utf8_lossy(&whole.body);
    let summary = text_of(Raw::unchecked(&response));
    match summary.is_empty() {
        true => Err(format!("the backend {} gave no summary", exchange.hop())),
        false => Ok((summary, whole.usage)),
    }
}

impl Summed {
    /// The request with the summary in it, and what its answer begins with: nothing where that cannot be
    /// sealed.
    pub fn in_request<'a>(
        &'a self,
        exchange: &mut Exchange,
        request: Request<'a>,
    ) -> (Request<'a>, Option<Preface>) {
        let Ok(summary) = Item::parse(&self.message, Path::INPUT) else { return (request, None) };
        let request = request.summed_up(self.items.clone(), summary);
        let print = |item: &Item<'_>| {
            let mut out = String::new();
            item.print(&mut out);
            out
        };
        let window = Sealed::Window(request.input.iter().map(print).collect());
        match sealed(&exchange.gateway.seal, &format!("cmp_{}", exchange.id), &window) {
            Ok(item) => (request, Some(Preface::new(item, self.usage))),
            Err(error) => {
                exchange.notes.add("compaction_not_sealed", error.to_string());
                (request, None)
            }
        }
    }
}
