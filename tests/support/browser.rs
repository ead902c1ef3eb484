//! Headless Chromium, driven over its own protocol through a pipe: keys and clicks as a person's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use mkto_testing::{needs, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one window, a fresh profile, and nothing that asks a network.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: mpsc::Receiver<Value>,
    /// The window that is spoken to; none while it is looked for.
    window: Option<String>,
    calls: u64,
    /// What the page's script or its policy complained about.
    complaints: Vec<String>,
    profile: TempDir,
}

impl Browser {
    /// Starts one; none, and one line says so, where there is no Chromium.
    pub fn start() -> Option<Self> {
        if needs::program("chromium", []).is_none() {
            needs::missing("Chromium", "apt-get install chromium");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads its third and writes its fourth file; a shell can put our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null", "sh"])
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-quic", "--hide-scrollbars"])
            .args(["--remote-debugging-pipe", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut message = Vec::new();
            while from.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(read) = serde_json::from_slice(&message) else { break };
                if tell.send(read).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let (window, calls, complaints) = (None, 0, Vec::new());
        let mut browser = Self { child, to, from: told, window, calls, complaints, profile };
        let targets = browser.call("Target.getTargets", &json!({}));
        let target = targets["targetInfos"].as_array().unwrap().iter();
        let page = target.clone().find(|target| target["type"] == "page").unwrap();
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.window = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        let folder = browser.downloads().to_owned();
        let save = json!({"behavior": "allow", "downloadPath": folder});
        browser.call("Browser.setDownloadBehavior", &save);
        Some(browser)
    }

    /// Where the page saves files.
    pub fn downloads(&self) -> &Path {
        self.profile.path()
    }

    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The answer, or why the browser has none.
    #[track_caller]
    fn asked(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(window) = &self.window {
            message["sessionId"] = json!(window);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let told = self.from.recv_timeout(wait::PATIENCE).expect("the browser answers");
            if told["id"] == self.calls {
                let error = &told["error"];
                let answer = told["result"].clone();
                return if error.is_null() { Ok(answer) } else { Err(error.to_string()) };
            }
            let is_complaint = told["method"] == "Runtime.exceptionThrown"
                || (told["method"] == "Log.entryAdded"
                    && told["params"]["entry"]["level"] == "error");
            if is_complaint {
                self.complaints.push(told["params"].to_string());
            }
        }
    }

    /// What the page's script or its policy complained about since it was asked last.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        self.evaluated(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    #[track_caller]
    fn evaluated(&mut self, expression: &str) -> Result<Value, String> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let told = self.asked("Runtime.evaluate", &asked)?;
        let thrown = &told["exceptionDetails"];
        if thrown.is_null() { Ok(told["result"]["value"].clone()) } else { Err(thrown.to_string()) }
    }

    /// Waits until an expression is true in the page; one that is being left has no answer.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        wait::until(expression, || self.evaluated(expression) == Ok(json!(true)));
    }

    /// Opens an address, and waits for the page's script to have nothing more to do.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        self.call("Page.navigate", &json!({"url": address}));
        self.until("document.readyState === 'complete' && document.URL !== 'about:blank'");
    }

    /// Presses a key, once the page has done what the key before asked for.
    #[track_caller]
    pub fn key(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            _ => 0,
        };
        let mut pressed =
            json!({"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code});
        if text.is_empty() {
            pressed["type"] = json!("rawKeyDown");
        }
        self.call("Input.dispatchKeyEvent", &pressed);
        self.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": key}));
        self.settle();
    }

    /// Types a text where the focus is.
    #[track_caller]
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Clicks the middle of the first element that a selector finds, once the window shows where it
    /// was scrolled to.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(async () => {{ const found = document.querySelector({}); if (!found) return null; \
             found.scrollIntoView({{block: 'center'}}); \
             await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next))); \
             const box = found.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        assert!(place.is_array(), "nothing is at {selector}");
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place[0], &place[1]);
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event);
        }
        self.settle();
    }

    /// The text that a selector finds; empty where there is none or it is hidden.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let asked = format!("document.querySelector({})?.innerText ?? ''", json!(selector));
        self.eval(&asked).as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn settle(&mut self) {
        self.until("!document.documentElement.dataset.busy");
    }

    /// A picture of the window, for whoever looks.
    pub fn picture(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        std::fs::write(file, base64(shot["data"].as_str().unwrap())).unwrap();
    }

    /// The width and height of the window in pixels.
    pub fn size(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        wait::end_of(&mut self.child);
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<u8> = text.bytes().filter(|letter| *letter != b'=').collect();
    let mut bytes = Vec::new();
    for group in letters.chunks(4) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (place, letter)| {
            bits | u32::from(digit(*letter)) << (18 - 6 * place)
        });
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
