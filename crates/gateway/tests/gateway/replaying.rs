//! A recording that answers in place of the model that was recorded.

use std::path::Path;
use std::sync::{Arc, Mutex};

use latimer_gateway::Config;
use latimer_gateway::replay::{Playing, Replay, ReplayError};
use serde_json::{Value, json};

use crate::support::*;

const SCRIPT: &str = "rule = [
    { when = { user = 'again', times = 1 }, refuse = { status = 429, message = 'Slow.', retry_after_s = 7 } },
    { when = { user = 'cut' }, answer = { text = 'Half.' }, fault = { kind = 'half', after = 4 } },
    { answer = { text = 'You said {user}.', reasoning = 'Hm.' } },
]";

fn asking(path: &str, text: &str, stream: bool) -> Vec<u8> {
    let body = match path {
        "/v1/responses" => format!(r#"{{"model":"m","input":"{text}","stream":{stream}}}"#),
        _ => format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}],"stream":{stream}}}"#
        ),
    };
    post_to(path, "", body)
}

/// What a gateway before the mock answered, and its recording.
async fn recorded(requests: &[Vec<u8>]) -> (Vec<Answered>, Folder) {
    let directory = Folder::new();
    let gateway = Gateway::start_in(directory, before_responses(mock(SCRIPT).await)).await;
    let mut answers = Vec::new();
    for request in requests {
        answers.push(ask(gateway.address, request).await);
    }
    let _ = gateway.stop.send(());
    within("the gateway stops", gateway.running).await.unwrap();
    (answers, gateway.directory)
}

fn play(directory: &Path) -> Playing {
    Replay::open(directory.join("traffic.jsonl")).unwrap().start().unwrap()
}

/// What is told while a recording plays.
type Told = Arc<Mutex<String>>;

fn told(replay: Replay) -> (Replay, Told) {
    let told = Told::default();
    let kept = Arc::clone(&told);
    (replay.telling(move |line| *kept.lock().unwrap() += line), told)
}

#[tokio::test]
async fn what_was_answered_is_answered_again() {
    let paths = ["/v1/responses", "/v1/chat/completions"];
    let form =
        |path| [asking(path, "Hi", true), asking(path, "Hi", false), asking(path, "cut", true)];
    let requests: Vec<_> = paths.into_iter().flat_map(form).collect();
    let (answers, directory) = recorded(&requests).await;
    assert!(answers.iter().any(|answer| !answer.whole), "one of them broke off");
    let slowly = Replay::open(directory.path().join("traffic.jsonl")).unwrap().at_speed(1e6);
    let slowly = slowly.start().unwrap();
    for (request, recorded) in requests.iter().zip(&answers) {
        for address in [play(directory.path()).address(), slowly.address()] {
            let replayed = ask(address, request).await;
            assert_eq!(replayed.text(), recorded.text());
            assert_eq!((replayed.status, replayed.whole), (recorded.status, recorded.whole));
            for name in ["content-type", "x-request-id"] {
                assert_eq!(replayed.header(name), recorded.header(name));
            }
        }
    }
    let paced = ask(slowly.address(), &requests[0]).await;
    assert_eq!(paced.pieces.len(), paced.events().len() + 1, "an event each, and the end");
}

#[tokio::test]
async fn equal_requests_are_answered_in_their_order_in_each_session() {
    let request = asking("/v1/responses", "again", false);
    let (_, directory) = recorded(&[request.clone(), request.clone()]).await;
    let playing = play(directory.path());
    let ask_in = async |session: &str| {
        let body = format!(
            r#"{{"input":"again","stream":false,"prompt_cache_key":"{session}","model":"m"}}"#
        );
        ask(playing.address(), &post("", body)).await
    };
    let first = ask_in("one").await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    let statuses =
        [ask_in("one").await, ask_in("two").await, ask_in("one").await].map(|a| a.status);
    assert_eq!(statuses, [200, 429, 200], "the last is given again");
    let header = post("session-id: three\r\n", r#"{"model":"m","input":"again","stream":false}"#);
    assert_eq!(ask(playing.address(), &header).await.status, 429);
}

fn in_background(text: &str, stream: bool) -> Vec<u8> {
    let body = json!({"model": "m", "input": text, "background": true, "stream": stream});
    post("", body.to_string())
}

/// Polled once before the recording ends, and in ways that the recording does not have.
#[tokio::test]
async fn what_was_made_in_the_background_is_queued_and_there_when_it_is_asked_for() {
    let directory = Folder::new();
    let gateway = Gateway::start_in(directory, before(mock(SCRIPT).await)).await;
    let queued = ask(gateway.address, &in_background("Hi", false)).await;
    let streamed = ask(gateway.address, &in_background("Hi", true)).await;
    let path = |response: &Value| format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let (polled, followed) = (path(&queued.json()), path(&streamed.terminal()["response"]));
    let made = within("it is made", async {
        loop {
            let made = ask(gateway.address, &get(&polled)).await.json();
            if made["status"] == "completed" {
                return made;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    let made = made.await;
    let _ = gateway.stop.send(());
    within("the gateway stops", gateway.running).await.unwrap();

    let playing = play(gateway.directory.path());
    let ask = async |request: &[u8]| ask(playing.address(), request).await;
    let again = ask(&in_background("Hi", false)).await;
    assert_eq!(again.header("content-type"), Some("application/json"));
    assert_eq!(again.json(), queued.json(), "queued, under the same id");
    assert_eq!(ask(&get(&format!("{polled}?include=x"))).await.json(), made);
    let told = ask(&get(&format!("{polled}?stream=true"))).await;
    assert_eq!(told.terminal()["response"], made);
    assert_eq!(ask(&in_background("Hi", true)).await.text(), streamed.text());
    let all = streamed.events();
    for after in [0, 3, all.len() - 1] {
        let rest = ask(&get(&format!("{followed}?stream=true&starting_after={after}"))).await;
        assert_eq!((rest.status, rest.events()), (200, all[after + 1..].to_vec()));
    }
    for other in ["/v1/responses/resp_other", &format!("{polled}/input_items")] {
        assert_eq!(ask(&get(other)).await.error()["code"], "no_recording");
    }
}

#[tokio::test]
async fn a_response_that_broke_off_is_followed_as_far_as_it_came() {
    let begun = r#"{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\"}}"#;
    let next = r#"{\"type\":\"response.in_progress\",\"sequence_number\":1}"#;
    let body = format!("data: {begun}\\n\\ndata: {next}\\n\\n");
    let line = format!(
        "{{\"request\":{{\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{{\"background\":true}}}},\
         \"response\":{{\"status_code\":200,\"headers\":{{\"content-type\":\"text/event-stream\"}},\
         \"body\":\"{body}\"}},\"latimer\":{{\"outcome\":\"failed\"}}}}\n"
    );
    let directory = Folder::new();
    std::fs::write(directory.path().join("traffic.jsonl"), line).unwrap();
    let playing = play(directory.path());
    let queued = ask(playing.address(), &post("", r#"{"background":true}"#)).await.json();
    assert_eq!(queued["status"], "queued");
    let whole = ask(playing.address(), &get("/v1/responses/resp_1")).await;
    assert_eq!(whole.error()["code"], "no_recording", "it never ended");
    let path = "/v1/responses/resp_1?stream=true&starting_after=0";
    let rest = ask(playing.address(), &get(path)).await;
    assert!(rest.text().contains("in_progress") && !rest.text().contains("created"));
    assert!(!rest.whole, "it breaks off again");
}

#[tokio::test]
async fn a_miss_shows_what_comes_nearest_and_where_it_differs() {
    let path = "/v1/responses";
    let (_, directory) =
        recorded(&[asking(path, "Something else", true), asking(path, "Say hello", true)]).await;
    let (replay, told) = told(Replay::open(directory.path().join("traffic.jsonl")).unwrap());
    let playing = replay.start().unwrap();
    let missed = ask(playing.address(), &asking(path, "Say hallo", true)).await;
    assert_eq!((missed.status, &missed.error()["code"]), (404, &"no_recording".into()));
    assert_eq!(missed.error()["param"], "input");
    let message = missed.error()["message"].to_string();
    for words in ["line 2,", "`input`", "Say hello", "Say hallo", "--record-missing", "--lenient"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let told = told.lock().unwrap().clone();
    assert!(told.contains("line 2") && !told.contains("hallo"), "texts are not told: {told}");
    let elsewhere =
        ask(playing.address(), b"GET /v1/models HTTP/1.0\r\nhost: localhost\r\n\r\n").await;
    assert_eq!((elsewhere.status, &elsewhere.error()["code"]), (404, &"no_recording".into()));
}

#[tokio::test]
async fn lenient_takes_the_nearest_of_the_same_form_and_says_what_differs() {
    let path = "/v1/responses";
    let (answers, directory) = recorded(&[asking(path, "Say hello", true)]).await;
    let replay = Replay::open(directory.path().join("traffic.jsonl")).unwrap().lenient();
    let (replay, told) = told(replay);
    let playing = replay.start().unwrap();
    let near = ask(playing.address(), &asking(path, "Say hallo", true)).await;
    assert_eq!(near.text(), answers[0].text());
    let told = told.lock().unwrap().clone();
    assert!(told.contains("- \"Say hello\"\n    + \"Say hallo\""), "{told}");
    assert_eq!(ask(playing.address(), &asking(path, "Say hello", false)).await.status, 404);
}

#[tokio::test]
async fn what_is_missing_is_recorded_once_and_then_known() {
    let directory = Folder::new();
    let path = directory.path().join("new.jsonl");
    let backend = Backend::start().await;
    let mut config = before(backend.address);
    config.upstream.as_mut().unwrap().api_key_env = Some("KEY".to_owned());
    let settings = config.resolve(|_| Some(OPERATOR_KEY.to_owned())).unwrap();
    assert!(Replay::recording(&path, settings.clone()).is_ok(), "there need not be a file");
    // An answer that its client left is as good as missing.
    let left = format!(
        "{{\"request\":{{\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{ASK_STREAM}}},\
         \"response\":{{\"status_code\":200,\"body\":\"Hel\"}},\
         \"latimer\":{{\"outcome\":\"cancelled\"}}}}\n"
    );
    std::fs::write(&path, left).unwrap();
    // What a gateway does on its way to a backend of the other dialect is done here too.
    let first = {
        let (tell, address) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let replay = Replay::recording(&path, settings.clone()).unwrap();
        let serving = tokio::spawn(replay.serve(
            LOCAL,
            |address| tell.send(address).unwrap(),
            async { _ = stopped.await },
        ));
        let client = Client::send(address.await.unwrap(), &post("", ASK_STREAM)).await;
        let (mut line, heard) = backend.heard().await;
        assert!(heard.head.contains(OPERATOR_KEY) && heard.head.contains("/v1/chat/completions"));
        line.say(EVENTS_HEAD.to_owned() + &piece(&delta("Hello")) + &piece(STOP) + &piece(""))
            .await;
        let answered = client.finish().await;
        stop.send(()).unwrap();
        within("it stops", serving).await.unwrap().unwrap();
        answered
    };
    assert!(first.text().contains("Hello") && first.whole);
    let known = Replay::recording(&path, settings).unwrap().start().unwrap();
    let again = ask(known.address(), &post("session-id: 2\r\n", ASK_STREAM)).await;
    assert_eq!(again.text(), first.text());
    backend.assert_quiet().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().count() == 2 && !text.contains(OPERATOR_KEY));
    let none = Config::default().resolve(|_| None).unwrap();
    assert!(matches!(Replay::recording(&path, none), Err(ReplayError::NoUpstream)));
}

#[tokio::test]
async fn a_recording_of_another_program_gives_no_secret_and_says_what_it_lacks() {
    let directory = Folder::new();
    let path = directory.path().join("traffic.jsonl");
    let answer = "{\"status_code\":200,\"headers\":{\"set-cookie\":\"canary\",\"Content-Type\":\
        \"text/event-stream\",\"content-encoding\":\"gzip\",\"content-length\":\"9\"},\
        \"body\":\"data: {}\\n\\n\"}";
    let line = |answer: &str| {
        format!(
            "{{\"timestamp\":1,\"request\":{{\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":\
             {ASK_STREAM}}},\"response\":{answer}}}\n"
        )
    };
    std::fs::write(&path, line("null") + &line(answer) + "{\"time").unwrap();
    let replay = Replay::open(&path).unwrap();
    let (answers, holes) = replay.inventory();
    assert_eq!((answers, holes.len()), (1, 3), "{holes:?}");
    assert!(holes[0].starts_with("line 1: left out: no answer") && holes[2].starts_with("line 3:"));
    let answered = ask(replay.start().unwrap().address(), &post("", ASK_STREAM)).await;
    assert_eq!((answered.text().as_str(), answered.whole), ("data: {}\n\n", false));
    assert!(!answered.head.contains("canary") && answered.header("content-encoding").is_none());
    std::fs::write(&path, line("null")).unwrap();
    let nothing = Replay::open(&path).err().unwrap().to_string();
    assert!(nothing.contains("line 1: no answer was recorded"), "{nothing}");
}
