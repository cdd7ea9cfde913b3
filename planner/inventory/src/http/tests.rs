//! The client's rules, over real sockets where they concern answers.

use reqwest::header::HeaderValue;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn client() -> Http {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Http::new(Trust::new(None, "ca_cert"), "test")
        .expect("a client")
        .impatient()
}

fn url(text: &str) -> Url {
    parse_url(text).expect("valid")
}

// Retry-After is understood in both forms, a date by the server's own clock, and never obeyed
// beyond a minute.
#[test]
fn retry_after() {
    let wait = |after: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(after).expect("a header"));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).expect("a header"));
        }
        asked_wait(&headers).map(|wait| wait.as_secs())
    };
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(wait("7", None), Some(7));
    assert_eq!(wait("3600", None), Some(60));
    assert_eq!(wait("Sun, 06 Nov 1994 08:49:40 GMT", date), Some(3));
    assert_eq!(wait("Sun, 06 Nov 1994 08:49:30 GMT", date), Some(0));
    assert_eq!(wait("Sun, 06 Nov 1994 09:49:37 GMT", date), Some(60));
    assert_eq!(wait("soon", None), None);
}

// Jitter stays within 20 % and is the same each time.
#[test]
fn jitter() {
    let wait = Duration::from_secs(1);
    for spread in 0..1000 {
        let jittered = jittered(wait, spread);
        assert!((800..=1200).contains(&jittered.as_millis()), "{jittered:?}");
        assert_eq!(jittered, super::jittered(wait, spread));
    }
}

// Addresses in messages carry no user info and no query; those with user info are refused.
#[test]
fn addresses() {
    let with_query = Url::parse("https://u:hunter2@h/a.ova?signature=hunter2#x").expect("valid");
    assert_eq!(shown(&with_query), "https://h/a.ova");
    for text in [
        "https://u:hunter2@h/",
        "ftp://h/",
        "h:443",
        "",
        "//u:hunter2@h",
    ] {
        let error = parse_url(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

// A redirect is followed on its host and not to another one: the token would go with it.
#[tokio::test]
async fn redirects() {
    let server = MockServer::start().await;
    let there = format!("http://localhost:{}/there", server.address().port());
    let to = |target: &str| ResponseTemplate::new(302).insert_header("Location", target);
    let found = ResponseTemplate::new(200);
    Mock::given(path("/near"))
        .respond_with(to("/there"))
        .mount(&server)
        .await;
    Mock::given(path("/far"))
        .respond_with(to(&there))
        .mount(&server)
        .await;
    Mock::given(path("/there"))
        .respond_with(found)
        .expect(1)
        .mount(&server)
        .await;
    let http = client();
    for (route, status) in [("near", 200), ("far", 302)] {
        let address = url(&format!("{}/{route}", server.uri()));
        let request = http.request(Method::GET, address);
        let answer = http.send(request, Retry::Read).await.expect("answered");
        assert_eq!(answer.status.as_u16(), status, "{route}");
    }
}

// What is sent again, by kind of request: 500 is how SOAP sends its faults.
#[tokio::test]
async fn repeats() {
    for (retry, status, requests) in [
        (Retry::Read, 503, 5),
        (Retry::Read, 500, 5),
        (Retry::Read, 404, 1),
        (Retry::Read, 401, 1),
        (Retry::SoapRead, 503, 5),
        (Retry::SoapRead, 500, 1),
        (Retry::Never, 503, 1),
    ] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status);
        Mock::given(path("/"))
            .respond_with(answer)
            .expect(requests)
            .mount(&server)
            .await;
        let http = client();
        let request = http
            .request(Method::POST, url(&server.uri()))
            .body("same each time");
        let answer = http.send(request, retry).await.expect("answered");
        assert_eq!(answer.status.as_u16(), status);
    }
}

// Nobody there: an outage with the address and the system's own words, after two tries.
#[tokio::test]
async fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let http = client();
    let request = http.request(Method::GET, url(&address));
    let error = http.send(request, Retry::Read).await.expect_err("closed");
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error:?}");
    assert!(error.is_outage() && error.hint().is_some());
}

// What is quoted of an answer is one line of at most 200 bytes, in which nothing can hide.
#[test]
fn excerpts() {
    let page = format!("<html>\r\n  sign\u{1b}[31m in\u{202e}{}", "x".repeat(300));
    let quoted = excerpt(page.as_bytes());
    assert!(
        quoted.starts_with("<html> sign\\u{1b}[31m in\\u{202e}xxx"),
        "{quoted}"
    );
    assert_eq!(
        quoted.matches('x').count(),
        200 - "<html>\r\n  sign\u{1b}[31m in\u{202e}".len()
    );
}
