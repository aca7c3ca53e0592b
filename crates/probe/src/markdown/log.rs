//! One exchange in full: its heading, then request and response, each with headers and body. In:
//! an exchange. Out: its chapter of the log, from behind its number.

use super::page::Page;
use super::text::{code, inline};
use super::{request, response, totals};
use crate::content::parts::Parts;
use crate::content::socket::Beside;
use crate::record::exchange::{Exchange, Headers, RecordedResponse};
use crate::redact;
use crate::words::time_with_ms;

/// Writes the chapter of one exchange.
pub(super) fn write_exchange(page: &mut Page<'_>, exchange: &Exchange<'_>, parts: &Parts<'_>) {
    let request = &exchange.request;
    let asked = code(&format!("{} {}", request.method, redact::url(&request.url)));
    page.line(format!("{asked} → {}", totals::status_of(exchange)));
    let time = exchange.timestamp_unix_ms.map(|at| format!("{} UTC", time_with_ms(at)));
    page.paragraph(format!("**Time:** {}", time.as_deref().unwrap_or("unknown")));
    write_headers(page, "Request Headers", &request.headers);
    page.paragraph("#### Request Body");
    request::write_body(page, &request.body, &parts.request);
    page.gap();
    match &exchange.response {
        Some(response) => {
            write_headers(page, "Response Headers", &response.headers);
            page.paragraph("#### Response Body");
            response::write_body(page, response, parts);
            write_beside(page, exchange);
        }
        None => {
            page.paragraph("#### Response Body");
            page.paragraph("*(no response)*");
        }
    }
    page.gap();
    page.line("---");
}

/// What passed on a WebSocket beside messages.
fn write_beside(page: &mut Page<'_>, exchange: &Exchange<'_>) {
    let is_websocket = exchange.response.as_ref().is_some_and(RecordedResponse::is_websocket);
    let account = is_websocket.then(|| exchange.account()).flatten();
    let beside = account.and_then(|account| Beside::of(account.websocket.as_ref()?));
    if let Some(beside) = beside {
        page.paragraph(format!("**WebSocket:** {}", inline(&beside.words())));
    }
}

fn write_headers(page: &mut Page<'_>, title: &str, headers: &Headers<'_>) {
    let lines: Vec<_> = headers
        .0
        .iter()
        .map(|(name, value)| format!("{name}: {}", redact::header(name, value)))
        .collect();
    if !lines.is_empty() {
        page.folded_quote(format_args!("<b>{title}</b>"), &lines.join("\n"));
    }
}
