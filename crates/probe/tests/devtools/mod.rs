//! A browser that is led by the hand: Chromium without a window, over the pipe of its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>), whose messages end in a NUL. In: a page's file
//! and what is done with it. Out: what the page says then, pictures of it, and every address it asked for.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Names under which Chromium is installed.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// The browser reads from its descriptor 3 and writes to 4.
const PIPED: &str = r#"exec "$0" "$@" 3<&0 4>&1 >/dev/null"#;
/// A browser that says nothing for so long says nothing any more.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A page in a browser of its own.
pub struct Tab {
    browser: Child,
    ask: ChildStdin,
    said: Receiver<Value>,
    asked: u64,
    session: Value,
    /// The addresses the page asked for, in their order.
    pub requests: Vec<String>,
}

/// The browser that `LATIMER_CHROMIUM` names or the PATH has; says so where there is none.
pub fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("LATIMER_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = || {
        let programs = BROWSERS.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
        programs.into_iter().find(|program| program.is_file())
    };
    let browser = named.or_else(found);
    if browser.is_none() {
        println!("skipped: there is no Chromium on the PATH, and LATIMER_CHROMIUM names none");
    }
    browser
}

impl Tab {
    /// Shows a file.
    pub fn open(browser: &Path, page: &Path) -> Tab {
        let profile = page.with_file_name("profile");
        let mut browser = Command::new("sh")
            .args(["-c", PIPED])
            .arg(browser)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let ask = browser.stdin.take().expect("a pipe");
        let answers = BufReader::new(browser.stdout.take().expect("a pipe"));
        let (say, said) = channel();
        thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if say.send(message).is_err() {
                    break;
                }
            }
        });
        let (session, requests) = (Value::Null, Vec::new());
        let mut tab = Tab { browser, ask, said, asked: 0, session, requests };
        let target = tab.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        tab.session = tab.call("Target.attachToTarget", attach)["sessionId"].take();
        tab.call("Network.enable", json!({}));
        tab.call("Page.enable", json!({}));
        tab.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        tab.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        while tab.next()["method"] != "Page.loadEventFired" {}
        tab
    }

    /// Does something, and gives what came of it.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.ask, "{message}\0").expect("the browser listens");
        loop {
            let mut answer = self.next();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
        }
    }

    /// The next message of the browser.
    fn next(&mut self) -> Value {
        let message = self.said.recv_timeout(ANSWER_WITHIN).expect("the browser answers");
        if message["method"] == "Network.requestWillBeSent" {
            let url = message["params"]["request"]["url"].as_str().unwrap_or_default();
            self.requests.push(url.to_owned());
        }
        message
    }

    /// The value of an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let mut found = self.call("Runtime.evaluate", asked);
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].take()
    }

    /// Presses a key and lets it go: `Tab`, `Enter` or ` `, with `Shift` or without.
    pub fn press(&mut self, key: &str, is_shifted: bool) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            _ => ("Space", 32, " "),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": code});
            event["windowsVirtualKeyCode"] = number.into();
            event["modifiers"] = if is_shifted { 8 } else { 0 }.into();
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Shows the page in a window so wide, to a reader who prefers a scheme.
    pub fn show(&mut self, width: u32, scheme: &str) {
        let is_phone = width < 600;
        let window =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", window);
        let preferred = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", preferred);
    }

    /// The whole page as a picture, in base64.
    pub fn picture(&mut self) -> String {
        let all = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.call("Page.captureScreenshot", all);
        picture["data"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Tab {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
