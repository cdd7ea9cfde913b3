//! The file server: every raw disk by its name, and a listing, as the real engine serves them.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::stream;
use tokio::io::AsyncReadExt as _;

use crate::SCRATCH;

/// Bytes read at a time: large enough that system calls do not matter.
const CHUNK: usize = 1 << 20;

/// Serves until the process ends.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let app = Router::new()
        .route("/", get(listing))
        .route("/{name}", get(file));
    let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    Ok(axum::serve(listener, app).await?)
}

async fn listing() -> Result<Html<String>, StatusCode> {
    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(SCRATCH)
        .await
        .map_err(|_| StatusCode::NOT_FOUND)?;
    while let Ok(Some(entry)) = entries.next_entry().await {
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let links = names
        .iter()
        .map(|name| format!("<a href=\"{name}\">{name}</a>\n"));
    Ok(Html(format!(
        "<pre>\n{}</pre>\n",
        links.collect::<String>()
    )))
}

/// One file, in pieces. HEAD gets its size: axum leaves the body out.
async fn file(Path(name): Path<String>) -> Response {
    let opened = tokio::fs::File::open(format!("{SCRATCH}/{name}")).await;
    let Ok(file) = opened else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(about) = file.metadata().await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; CHUNK];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
    });
    let headers = [(header::CONTENT_LENGTH, about.len())];
    (headers, Body::from_stream(pieces)).into_response()
}
