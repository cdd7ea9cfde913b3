//! Ctrl-C and SIGTERM: the first asks a run to stop, the second ends the process.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code of a process that a second signal ended, as shells have it for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Becomes true at the first signal.
pub fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        next().await;
        sender.send_replace(true);
        next().await;
        // Nothing needs an orderly end: whatever is left undone, the next run does.
        std::process::exit(EXIT_INTERRUPTED);
    });
    receiver
}

async fn next() {
    // Where a handler is not to be had, the signal keeps its own effect: it ends the process.
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = terminate => {}
        () = interrupt => {}
    }
}
