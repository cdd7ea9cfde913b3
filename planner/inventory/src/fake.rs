//! What stands before a fake server: TLS with a certificate of any kind, and a wire that is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Good for `localhost`.
    Good,
    /// Good for another name.
    OtherName,
    /// Ran out.
    Expired,
}

/// What a Secret says of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing.
    Nothing,
    /// Who signed the server's.
    Authority,
    /// That nothing is to be checked.
    Insecure,
}

/// A server before the one that answers.
pub(crate) struct Front {
    /// Its address by name: `https://localhost:PORT`, or `http:` where it has no certificate.
    pub(crate) url: String,
    /// The certificate, as PEM, of who signed its own.
    pub(crate) authority: String,
}

impl Front {
    /// The keys of a Secret that say so.
    pub(crate) fn keys(&self, given: Given, ca_key: &'static str) -> Vec<(&'static str, String)> {
        match given {
            Given::Nothing => Vec::new(),
            Given::Authority => vec![(ca_key, self.authority.clone())],
            Given::Insecure => vec![("insecure", "true".to_owned())],
        }
    }
}

/// Puts TLS before the server at `behind`.
pub(crate) async fn tls(behind: SocketAddr, leaf: Leaf) -> Front {
    let mut of_authority = CertificateParams::new(Vec::new()).expect("no names");
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(of_authority, key).expect("an authority");
    let name = match leaf {
        Leaf::OtherName => "elsewhere.example",
        Leaf::Good | Leaf::Expired => "localhost",
    };
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    if leaf == Leaf::Expired {
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let port = listen(behind, move |stream| {
        let acceptor = acceptor.clone();
        // A client that does not trust us hangs up: no matter of ours.
        async move { acceptor.accept(stream).await.ok() }
    })
    .await;
    Front {
        url: format!("https://localhost:{port}"),
        authority: issuer.pem(),
    }
}

/// Passes on what the server at `behind` answers, but cuts the wire after so many bytes of the answer
/// on each of the first connections, the first by the first figure.
pub(crate) async fn cut(behind: SocketAddr, after: &'static [usize]) -> Front {
    let listener = TcpListener::bind("localhost:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let count = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let at = count.fetch_add(1, Ordering::Relaxed);
            let bytes = after.get(at).map_or(u64::MAX, |bytes| *bytes as u64);
            tokio::spawn(pass(client, behind, bytes));
        }
    });
    Front {
        url: format!("http://localhost:{port}"),
        authority: String::new(),
    }
}

async fn listen<S, F>(
    behind: SocketAddr,
    wrap: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> u16
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let listener = TcpListener::bind("localhost:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let wrapped = wrap(client);
            tokio::spawn(async move {
                if let Some(client) = wrapped.await {
                    pass(client, behind, u64::MAX).await;
                }
            });
        }
    });
    port
}

/// Passes bytes both ways, at most so many of the answer. Whoever hangs up ends it.
async fn pass(client: impl AsyncRead + AsyncWrite, behind: SocketAddr, bytes: u64) {
    let Ok(server) = TcpStream::connect(behind).await else {
        return;
    };
    let (mut asked, mut answered) = tokio::io::split(client);
    let (from_server, mut to_server) = server.into_split();
    let mut limited = from_server.take(bytes);
    tokio::select! {
        _ = copy(&mut asked, &mut to_server) => {}
        _ = copy(&mut limited, &mut answered) => {}
    }
    let _ = answered.flush().await;
}
