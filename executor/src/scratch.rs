//! The engine's scratch, as its file server lists it. Best effort: nothing depends on it.

use std::collections::BTreeSet;

use http::Request;
use kube::Client;
use schemas::upstream::{ENGINE_NAME, ENGINE_NAMESPACE};

/// Names of the files in the scratch, through the API server's proxy; absent where we may not
/// look, or nobody answers.
pub(crate) async fn files(client: &Client) -> Option<BTreeSet<String>> {
    let path = format!("/api/v1/namespaces/{ENGINE_NAMESPACE}/services/{ENGINE_NAME}:8080/proxy/");
    let request = Request::get(path).body(Vec::new()).ok()?;
    match client.request_text(request).await {
        Ok(page) => Some(names(&page)),
        Err(error) => {
            tracing::debug!(%error, "scratch not listed");
            None
        }
    }
}

/// Names in a listing as Go's file server writes it: one `<a href="name">` a line.
fn names(page: &str) -> BTreeSet<String> {
    page.split("<a href=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.trim_start_matches("./").to_owned()))
        .filter(|name| !name.is_empty() && !name.ends_with('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // What Go's file server gives for three entries, one of them a folder.
    #[test]
    fn listing() {
        let page = "<!doctype html>\n<pre>\n<a href=\"a01-disk0.img\">a01-disk0.img</a>\n\
                    <a href=\"a01.ova\">a01.ova</a>\n<a href=\"tmp/\">tmp/</a>\n</pre>\n";
        let expected = ["a01-disk0.img", "a01.ova"].map(str::to_owned);
        assert_eq!(names(page), BTreeSet::from(expected));
        assert!(names("").is_empty());
    }
}
