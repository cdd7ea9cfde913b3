//! The report as one HTML file that needs nothing else: no network, no fonts, no library.
//!
//! The page is a fixed frame, style sheet and script; everything about the plan is data in a block
//! of JSON, which the script puts in place as text, never as markup: no name can become part of the
//! page. A content security policy that names the digests of the style sheet and the script forbids
//! all else, so that even a slip there would run nothing. Without a script, a reader gets the
//! report in words.

mod data;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::pipeline::Planned;

pub use data::PageData;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const BODY: &str = include_str!("page.html");

/// The page of a plan. `locate` says where a field of plan or site stands, as in
/// `plans/erp/plan.yaml:22`.
pub fn render(planned: &Planned, locate: &dyn Fn(&str) -> Option<String>) -> String {
    let data = PageData::new(planned, locate);
    let json = serde_json::to_string(&data).expect("the page's data has a JSON form");
    let words = super::text::render(&planned.report, locate);
    let title = format!("{}: Windrow report", planned.report.plan);
    let body = BODY.replace("<!-- WORDS -->", &escaped(&words));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src {}; script-src {}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n{body}\
         <script type=\"application/json\" id=\"data\">{}</script>\n<script>{SCRIPT}</script>\n\
         </body>\n</html>\n",
        source(STYLE),
        source(SCRIPT),
        escaped(&title),
        inert(&json),
    )
}

/// What a content security policy calls a piece of the page.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// JSON that cannot end the block it stands in: a script block knows no escapes but JSON's own.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// Text between tags.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    // What a name holds cannot end the block it stands in, nor become markup.
    #[test]
    fn hostile_text() {
        let json = serde_json::to_string("</script><script>alert(1)</script><!--").expect("JSON");
        let inert = inert(&json);
        assert!(!inert.contains('<'), "{inert}");
        let back: String = serde_json::from_str(&inert).expect("still JSON");
        assert_eq!(back, "</script><script>alert(1)</script><!--");
        assert_eq!(
            escaped("<b title='x'>&\"</b>"),
            "&lt;b title=&#39;x&#39;&gt;&amp;&quot;&lt;/b&gt;"
        );
    }
}
