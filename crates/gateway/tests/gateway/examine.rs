//! Servers before the judge: our own gateway breaks nothing, in either API and before either kind of
//! backend; servers that are broken on purpose are found out.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use latimer_gateway::examine::{Examined, examine};
use latimer_gateway::{Config, UpstreamConfig};
use latimer_wire::check::{Api, Rule};
use latimer_wire::responses::Flavour;

use crate::support::{Backend, Gateway, before, before_responses, mock, whole, within};

/// A model that does what the scenarios ask of it.
const ABLE: &str = r#"
[[rule]]
when = { schema = "capital" }
answer = { text = '{"capital":"Oslo"}', input_tokens = 9, output_tokens = 5 }
[[rule]]
when = { tool_output = "Rain" }
answer = { text = "It rains.", input_tokens = 9, output_tokens = 5 }
[[rule]]
when = { user = "both", tool = "get_weather" }
answer = { calls = [
    { name = "get_weather", arguments = { city = "Oslo" } },
    { name = "get_weather", arguments = { city = "Rome" } },
], input_tokens = 9, output_tokens = 5 }
[[rule]]
when = { tool = "get_weather" }
answer = { reasoning = "Hm.", calls = [{ name = "get_weather", arguments = { city = "Oslo" } }], input_tokens = 9, output_tokens = 5 }
[[rule]]
when = { user = "Count" }
answer = { text = "1, 2, 3", incomplete = "max_output_tokens", input_tokens = 9, output_tokens = 16 }
[[rule]]
answer = { reasoning = "They greet.", text = "Hello", input_tokens = 9, output_tokens = 5 }
"#;

async fn examined(address: SocketAddr, api: Option<Api>) -> Vec<Examined> {
    examined_in(Flavour::OpenAi, address, api).await
}

async fn examined_in(flavour: Flavour, address: SocketAddr, api: Option<Api>) -> Vec<Examined> {
    let url = Some(format!("http://{address}/v1"));
    let upstream = UpstreamConfig { url, ..UpstreamConfig::default() };
    let config = Config { upstream: Some(upstream), flavour, ..Config::default() };
    let settings = config.resolve(|_| None).unwrap();
    within("it is examined", examine(settings, api)).await.unwrap()
}

fn rules(examined: &[Examined]) -> BTreeSet<Rule> {
    let findings = examined.iter().flat_map(|examined| &examined.findings);
    findings.map(|finding| finding.rule).collect()
}

fn skipped(examined: &[Examined]) -> Vec<&str> {
    let skipped = examined.iter().filter(|examined| examined.skipped.is_some());
    skipped.map(|examined| examined.name.as_str()).collect()
}

#[tokio::test]
async fn our_own_gateway_breaks_no_rule() {
    let model = mock(ABLE).await;
    let flavours = [Flavour::OpenAi, Flavour::OpenResponses];
    let configs = flavours.into_iter().flat_map(|flavour| {
        [before(model), before_responses(model)].map(|config| Config { flavour, ..config })
    });
    for config in configs {
        let passes = config.upstream.as_ref().unwrap().dialect.is_some();
        let flavour = config.flavour;
        let gateway = Gateway::start(config).await;
        let examined = examined_in(flavour, gateway.address, None).await;
        if passes {
            // The mock behind it keeps no state.
            assert!(skipped(&examined).contains(&"responses: continuation"), "{examined:#?}");
        } else {
            assert_eq!(skipped(&examined), [""; 0]);
        }
        assert_eq!(rules(&examined), BTreeSet::new(), "{examined:#?}");
        assert!(examined.len() > 30, "both APIs, streamed and whole");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_found_out() {
    use Rule::{DoneMissing, FinishMissing, NoTerminal, NotAnswered, UsageMissing};
    let cases: &[(&str, Api, &[Rule])] = &[
        ("cut", Api::Responses, &[NotAnswered]),
        ("cut", Api::Chat, &[NotAnswered]),
        ("half", Api::Responses, &[NotAnswered]),
        ("error", Api::Responses, &[NotAnswered]),
        ("error", Api::Chat, &[NotAnswered]),
        ("end", Api::Responses, &[NoTerminal]),
        ("end", Api::Chat, &[FinishMissing, DoneMissing, UsageMissing]),
    ];
    for (kind, api, broken) in cases {
        let fault = format!("{ABLE}fault = {{ kind = \"{kind}\", after = 2 }}\n");
        let examined = examined(mock(&fault).await, Some(*api)).await;
        let text = examined.iter().find(|examined| examined.name.ends_with(": text, streamed"));
        let found: BTreeSet<_> =
            text.unwrap().findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(found, BTreeSet::from_iter(broken.iter().copied()), "{kind} {api:?}: {text:#?}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_what_it_is_asked_is_found_out() {
    let answer = "[[rule]]\nanswer = { text = \"Hello\", input_tokens = 9, output_tokens = 16 }\n";
    let model = mock(answer).await;
    let expected = [Rule::LimitAsCompleted, Rule::ToolChoiceIgnored, Rule::FormatIgnored];
    for api in [Api::Responses, Api::Chat] {
        let found = rules(&examined(model, Some(api)).await);
        assert!(found.is_superset(&BTreeSet::from(expected)), "{api:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_without_saying_so_is_found_out() {
    let backend = Backend::start().await;
    let address = backend.address;
    tokio::spawn(async move {
        loop {
            let (mut line, _) = backend.heard().await;
            let page = whole("500 Oh", "connection: close\r\n", "<html>");
            let _ = line.try_say(page).await;
        }
    });
    let found = rules(&examined(address, Some(Api::Responses)).await);
    let expected = [Rule::NotAnswered, Rule::RefusalMissing, Rule::NotJson];
    assert_eq!(found, BTreeSet::from(expected));
}
