//! The receipt of a recorded exchange: what the model said, as an agent would have said it, and the
//! hashes of request and answer as they were recorded. In: an exchange. Out: a receipt without a seal;
//! none of an exchange that asked no model.

use std::num::NonZeroUsize;

use latimer_wire::backplane::{AgentEvent, BackendIdentity, Json, Lower, Receipt, RunHead};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Event, Failure, Mend, Request, Response, unfold};
use latimer_wire::sse::Decoder;
use latimer_wire::{chat, json};
use ring::digest::{SHA256, digest};

use super::canonical::hexadecimal;
use crate::record::exchange::{Exchange, Payload};

/// The paths at whose end a model is asked, and how the answer is read.
const DOORS: &[(&str, Door)] = &[
    ("/responses", Door::Responses),
    ("/chat/completions", Door::Chat),
    ("/backplane/v1/run", Door::Run),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Responses,
    Chat,
    Run,
}

/// The receipt of a recorded exchange. `place` tells it from others where it has no id: its line, for
/// one.
pub fn recorded(exchange: &Exchange<'_>, place: u64) -> Option<Receipt> {
    let path = exchange.request.url.split('?').next().unwrap_or_default();
    let door = DOORS.iter().find(|(end, _)| path.ends_with(end)).map(|(_, door)| *door)?;
    let answer = exchange.response.as_ref();
    let (asked, said) = (text(&exchange.request.body), answer.map(|answer| text(&answer.body)));
    let said = said.unwrap_or_default();
    let account = exchange.account().unwrap_or_default();
    let started_at_ms =
        exchange.timestamp_unix_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
    let took_ms =
        account.duration_us.map(|us| us / 1000).or(account.duration_ms).unwrap_or_default();
    let run_id = account.id.clone().unwrap_or_else(|| format!("exchange-{place}"));
    let mut receipt = match (door, run_receipt(&said)) {
        (Door::Run, Some(receipt)) => receipt,
        (Door::Run, None) => return None,
        (door, _) => {
            let backend = BackendIdentity {
                id: account.upstream.unwrap_or_else(|| "unknown".to_owned()),
                ..BackendIdentity::default()
            };
            let work_order_id = run_id.clone();
            let head =
                RunHead { run_id, work_order_id, backend, started_at_ms, ..RunHead::default() };
            told(door, &asked, &said, head, started_at_ms.saturating_add(took_ms))
        }
    };
    receipt.rest.insert("exchange".to_owned(), digests(&asked, &said));
    Some(receipt)
}

/// The hashes of what went over the wire, as it is recorded.
fn digests(asked: &str, said: &str) -> Json {
    let hash = |text: &str| hexadecimal(digest(&SHA256, text.as_bytes()).as_ref());
    let mut object = String::new();
    json::Object::new(&mut object)
        .text("request_sha256", &hash(asked))
        .text("response_sha256", &hash(said))
        .end();
    Json::from(Raw::unchecked(&object))
}

fn text(payload: &Payload<'_>) -> String {
    payload.text().unwrap_or_default().to_owned()
}

/// What an answer said, as an agent's receipt.
fn told(door: Door, asked: &str, said: &str, head: RunHead, at_ms: u64) -> Receipt {
    let mut lower = Lower::new(head);
    let mut sink = |event: &Event<'_>| lower.push(event, at_ms, &mut |_: &AgentEvent| {});
    match door {
        Door::Chat => {
            let hub =
                chat::lift_request(asked, &chat::LiftOptions::default(), &mut Notes::default());
            let hub = hub.map(|lifted| lifted.body).unwrap_or_default();
            let request = Request::parse(&hub).unwrap_or_default();
            let mut lift = chat::Lift::new(Envelope::new(&request, "", 0), "r");
            read(said, &mut |data, _| lift.push(data, 0, &mut sink));
            lift.end(0, &mut sink);
        }
        _ => {
            let request = Request::parse(asked).unwrap_or_default();
            let mut mend = Mend::new(Envelope::new(&request, "", 0), "r");
            let whole = Response::parse(said).ok();
            match whole
                .as_ref()
                .map(|whole| (whole, whole.json().member("error").and_then(Raw::non_null)))
            {
                Some((_, Some(error))) => mend.fail(Failure::of(error), &mut sink),
                Some((whole, None)) => {
                    unfold(whole, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
                        mend.event(event.clone(), &mut sink);
                    })
                }
                None => read(said, &mut |data, name| mend.push(data, name, &mut sink)),
            }
            mend.end(&mut sink);
        }
    }
    lower.receipt(at_ms)
}

/// The frames of a stream; a body that is none is one piece.
fn read(said: &str, take: &mut dyn FnMut(&str, Option<&str>)) {
    if Raw::parse(said).is_ok() {
        return take(said, None);
    }
    let mut decoder = Decoder::new(said.len());
    decoder.push(said.as_bytes());
    while let Ok(Some(frame)) = decoder.next() {
        take(&frame.data, frame.event.as_deref());
    }
}

/// The receipt that a run was answered with.
fn run_receipt(said: &str) -> Option<Receipt> {
    let mut last = None;
    read(said, &mut |data, name| {
        if matches!(name, None | Some("receipt")) {
            last = Receipt::parse(data).ok();
        }
    });
    last
}
