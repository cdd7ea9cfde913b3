//! Chromium, driven over the two pipes of `--remote-debugging-pipe` by the Chrome `DevTools` Protocol:
//! messages in JSON, each ended by a zero byte. No port is opened, and no library is needed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A page of thousands of machines is printed within this on two busy cores.
const LIMIT: Duration = Duration::from_mins(2);

/// Reads descriptor 3 and writes descriptor 4, as Chromium does; a shell turns our two pipes into
/// those, since nothing else can without unsafe code.
const LAUNCH: &str = "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2";

/// Runs in the page before anything of its own: what goes wrong, and every task over 50 ms.
const WATCH: &str = "
window.__wrong = []; window.__long = [];
addEventListener('error', (e) => __wrong.push('error: ' + e.message), true);
addEventListener('unhandledrejection', (e) => __wrong.push('rejection: ' + e.reason));
document.addEventListener('securitypolicyviolation', (e) => __wrong.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI));
new PerformanceObserver((list) => { for (const e of list.getEntries()) __long.push(e.duration); })
  .observe({ type: 'longtask', buffered: true });
";

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What the page did that it must not: messages on the console, exceptions, requests.
    wrong: Vec<String>,
    /// The file that is open; the one request that is right.
    address: String,
    _profile: tempfile::TempDir,
}

/// Which media the page is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Light,
    Dark,
    Print,
}

impl Browser {
    /// Starts `chromium` without a window.
    pub fn start(program: &Path) -> Result<Self> {
        let profile = tempfile::tempdir().context("make a profile's folder")?;
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, "sh"])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars=false",
                "--force-color-profile=srgb",
                "--lang=en-GB",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("TZ", "Europe/Berlin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start `{}`", program.display()))?;
        let to = child.stdin.take().context("its first pipe")?;
        let pipe = child.stdout.take().context("its second pipe")?;
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut message = Vec::new();
            while pipe.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: None,
            last: 0,
            wrong: Vec::new(),
            address: String::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        )?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}))?;
        }
        browser.call(
            "Page.addScriptToEvaluateOnNewDocument",
            &json!({ "source": WATCH }),
        )?;
        Ok(browser)
    }

    /// What it calls itself.
    pub fn version(&mut self) -> Result<String> {
        let version = self.call("Browser.getVersion", &json!({}))?;
        Ok(version["product"].as_str().unwrap_or_default().to_owned())
    }

    /// Opens a file and waits until the page has put itself in place.
    pub fn open(&mut self, file: &Path, width: u32, look: Look) -> Result<()> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
        )?;
        self.look(look)?;
        self.address = format!("file://{}", file.display());
        self.wrong.clear();
        let opened = self.call("Page.navigate", &json!({ "url": self.address }))?;
        if let Some(error) = opened["errorText"].as_str() {
            bail!("open {}: {error}", self.address);
        }
        self.until("document.documentElement?.dataset.ready !== undefined")
    }

    /// Shows the page in light, dark or as it would be printed.
    pub fn look(&mut self, look: Look) -> Result<()> {
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        let media = if look == Look::Print { "print" } else { "" };
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "media": media, "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        )?;
        Ok(())
    }

    /// The value of an expression in the page; a promise is waited for.
    pub fn eval(&mut self, expression: &str) -> Result<Value> {
        let result = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        )?;
        if let Some(details) = result.get("exceptionDetails") {
            bail!("{expression}: {}", details["exception"]["description"]);
        }
        Ok(result["result"]["value"].clone())
    }

    /// Waits until an expression holds, frame by frame.
    pub fn until(&mut self, condition: &str) -> Result<()> {
        let held = self.eval(&format!(
            "new Promise((done) => {{ const end = performance.now() + 60000; const look = () => \
             {{ if ({condition}) done(true); else if (performance.now() > end) done(false); else \
             requestAnimationFrame(look); }}; look(); }})"
        ))?;
        if held != json!(true) {
            bail!("gave up waiting for `{condition}`");
        }
        Ok(())
    }

    /// The next frame is on the screen.
    pub fn settle(&mut self) -> Result<()> {
        self.eval(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
        )
        .map(drop)
    }

    /// Moves the pointer to a share of an element's width and height.
    pub fn hover(&mut self, selector: &str, share: (f64, f64)) -> Result<()> {
        let (x, y) = self.place(selector, share)?;
        self.mouse("mouseMoved", x, y)
    }

    /// Clicks in the middle of an element.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        self.click_at(selector, (0.5, 0.5))
    }

    /// Clicks at a share of an element's width and height.
    pub fn click_at(&mut self, selector: &str, share: (f64, f64)) -> Result<()> {
        let (x, y) = self.place(selector, share)?;
        self.mouse("mouseMoved", x, y)?;
        self.mouse("mousePressed", x, y)?;
        self.mouse("mouseReleased", x, y)?;
        self.settle()
    }

    /// Types a text, key by key.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        for c in text.chars() {
            let key = json!({ "type": "keyDown", "text": c.to_string(), "key": c.to_string() });
            self.call("Input.dispatchKeyEvent", &key)?;
            let key = json!({ "type": "keyUp", "key": c.to_string() });
            self.call("Input.dispatchKeyEvent", &key)?;
        }
        self.settle()
    }

    /// Presses a key that writes nothing, as in `ArrowDown`.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            _ => bail!("no code is known for the key `{key}`"),
        };
        let text = if key == "Enter" { "\r" } else { "" };
        let event = |kind: &str, text: &str| {
            json!({ "type": kind, "key": key, "code": key, "text": text,
                    "windowsVirtualKeyCode": code })
        };
        let kind = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        self.call("Input.dispatchKeyEvent", &event(kind, text))?;
        self.call("Input.dispatchKeyEvent", &event("keyUp", ""))?;
        self.settle()
    }

    /// Chooses an entry of a list by its value, as a person does by the keyboard: a native list has
    /// no place of its own in a browser without a window.
    pub fn choose(&mut self, selector: &str, value: &str) -> Result<()> {
        self.eval(&format!(
            "(() => {{ const node = document.querySelector({selector:?}); node.focus(); node.value = \
             {value:?}; if (node.value !== {value:?}) throw new Error('no such entry'); \
             node.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ))?;
        self.settle()
    }

    /// The tasks over 50 ms since the last call, in milliseconds.
    pub fn long_tasks(&mut self) -> Result<Vec<f64>> {
        self.settle()?;
        let list = self.eval("__long.splice(0)")?;
        let list = list.as_array().cloned().unwrap_or_default();
        Ok(list.iter().filter_map(Value::as_f64).collect())
    }

    /// What went wrong in the page since it was opened.
    pub fn wrongs(&mut self) -> Result<Vec<String>> {
        let seen = self.eval("__wrong")?;
        let seen = seen.as_array().cloned().unwrap_or_default();
        let mut all = self.wrong.clone();
        all.extend(seen.iter().filter_map(Value::as_str).map(str::to_owned));
        Ok(all)
    }

    /// The page as a picture; all of its height, or what a screen shows.
    pub fn picture(&mut self, file: &Path, whole: bool) -> Result<()> {
        self.settle()?;
        let shot = self.call(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": whole }),
        )?;
        save(&shot, file).map(drop)
    }

    /// The page on paper.
    pub fn print(&mut self, file: &Path) -> Result<Vec<u8>> {
        self.look(Look::Light)?;
        let printed = self.call(
            "Page.printToPDF",
            &json!({ "preferCSSPageSize": true, "printBackground": true }),
        )?;
        save(&printed, file)
    }

    fn mouse(&mut self, kind: &str, x: f64, y: f64) -> Result<()> {
        let pressed = kind != "mouseMoved";
        self.call(
            "Input.dispatchMouseEvent",
            &json!({ "type": kind, "x": x, "y": y, "button": if pressed { "left" } else { "none" },
                     "clickCount": u8::from(pressed) }),
        )?;
        self.settle()
    }

    fn place(&mut self, selector: &str, (across, along): (f64, f64)) -> Result<(f64, f64)> {
        let place = self.eval(&format!(
            "(() => {{ const node = document.querySelector({selector:?}); if (!node) return null; \
             node.scrollIntoView({{ block: 'center' }}); const r = node.getBoundingClientRect(); \
             return [r.left + r.width * {across}, r.top + r.height * {along}]; }})()"
        ))?;
        match (place[0].as_f64(), place[1].as_f64()) {
            (Some(x), Some(y)) => Ok((x, y)),
            _ => bail!("the page has no `{selector}`"),
        }
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to
            .write_all(&bytes)
            .with_context(|| format!("ask for {method}"))?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = match self.from.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => bail!("{method} took longer than {LIMIT:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the browser ended during {method}"),
            };
            if message["id"] == json!(id) {
                if let Some(error) = message.get("error") {
                    bail!("{method}: {}", error["message"]);
                }
                return Ok(message["result"].clone());
            }
            self.note(&message);
        }
    }

    /// Looks at what the browser tells by itself.
    fn note(&mut self, message: &Value) {
        let event = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.consoleAPICalled") => {
                self.wrong.push(format!("console: {}", event["args"]));
            }
            Some("Runtime.exceptionThrown") => {
                let details = &event["exceptionDetails"];
                self.wrong.push(format!("exception: {details}"));
            }
            Some("Log.entryAdded") => {
                self.wrong.push(format!("log: {}", event["entry"]["text"]));
            }
            Some("Network.requestWillBeSent") if event["request"]["url"] != json!(self.address) => {
                self.wrong
                    .push(format!("request: {}", event["request"]["url"]));
            }
            Some("Page.javascriptDialogOpening") => {
                self.wrong.push(format!("dialog: {}", event["message"]));
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn save(answer: &Value, file: &Path) -> Result<Vec<u8>> {
    let data = answer["data"].as_str().context("data of a picture")?;
    let bytes = STANDARD.decode(data).context("read base64")?;
    std::fs::write(file, &bytes).with_context(|| format!("write `{}`", file.display()))?;
    Ok(bytes)
}
