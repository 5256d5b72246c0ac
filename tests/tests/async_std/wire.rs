//! What the transport does with TLS, with connections, and with servers that hang up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use async_std::net::{TcpListener, TcpStream};
use async_std::task::{block_on, spawn};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use futures_lite::{AsyncRead, AsyncWrite, FutureExt, StreamExt, future};
use futures_rustls::TlsAcceptor;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use sfbulk_async_std::rows::{Fate, Outcome};
use sfbulk_async_std::{Bounds, Client, ErrorKind, Session, Spec};
use sfbulk_tests::practice::{self, Account, NewAccount, SEVEN, SOQL, small};

use super::{all, load_csv, names};

/// A client that has no patience.
fn client(address: String) -> Client {
    Client::new(move || future::ready(Session::new(&address, "00D!x")))
}

fn impatient(spec: Spec) -> Spec {
    spec.bounds(Bounds { tries: 1, ..Bounds::default() })
}

/// What a query that cannot succeed ends with.
fn failure(client: &Client) -> (ErrorKind, String) {
    let mut rows = client.fetch(impatient(Spec::query(SOQL))).records::<Account>().unwrap();
    let error = block_on(rows.next()).unwrap().unwrap_err();
    (error.kind(), error.to_string())
}

// ---- relays ----

/// Passes bytes on, both ways, until one side ends.
pub(crate) async fn pipe<A, B>(one: A, other: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let ((from_one, to_one), (from_other, to_other)) = (split(one), split(other));
    copy(from_one, to_other).or(copy(from_other, to_one)).await.ok();
}

/// Listens on a free port, counts its connections, and has each served.
pub(crate) fn listen<F>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            spawn(serve(stream));
        }
    });
    (address, count)
}

#[test]
fn connections_are_kept_for_the_next_request() {
    let server = practice::org();
    let org = server.addr();
    let (relay, connections) = listen(move |stream| async move {
        pipe(stream, TcpStream::connect(org).await.unwrap()).await;
    });
    let known = Arc::clone(&server);
    let session = move || Session::new(&format!("http://{relay}"), known.session());
    let client = Client::new(move || future::ready(session()));
    block_on(async {
        let load = client.insert("Account").serial().limits(small());
        let outcomes = all(load.csv(SEVEN.as_bytes()).unwrap()).await;
        assert!(outcomes.iter().all(Outcome::success));
        let mut rows = client.query::<Account>(SOQL).unwrap();
        assert_eq!(all(&mut rows).await.len(), 7);
        assert!(rows.summary().calls > 4);
    });
    let connections = connections.load(Ordering::SeqCst);
    assert!(connections <= 4, "{connections} connections");
}

// ---- TLS ----

/// Who signs a server's certificate, and the certificate for `name`.
fn certificate(name: &str) -> (CertifiedIssuer<'static, KeyPair>, TlsAcceptor) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .unwrap();
    (authority, TlsAcceptor::from(Arc::new(config)))
}

#[test]
fn an_authority_of_ones_own_is_trusted() {
    let server = practice::org();
    let org = server.addr();
    let (authority, acceptor) = certificate("localhost");
    let (relay, _) = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            pipe(stream, TcpStream::connect(org).await.unwrap()).await;
        }
    });
    let address = format!("https://localhost:{}", relay.port());
    let known = Arc::clone(&server);
    let session = move || Session::new(&address, known.session());
    let client = Client::new(move || future::ready(session()));
    let client = client.trusting(authority.pem().as_bytes()).unwrap();
    block_on(async {
        assert!(load_csv(&client, SEVEN).await.iter().all(Outcome::success));
        assert_eq!(names(&client).await.len(), 7);
    });
}

#[test]
fn a_server_that_cannot_be_trusted_hears_nothing() {
    let (authority, acceptor) = certificate("acme.example");
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let (relay, _) = listen(move |stream| {
        let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let read = stream.read(&mut [0; 100]).await.unwrap_or(0);
                count.fetch_add(read, Ordering::SeqCst);
            }
        }
    });
    let unknown = client(format!("https://localhost:{}", relay.port()));
    let (kind, message) = failure(&unknown);
    assert_eq!(kind, ErrorKind::Unreachable, "{message}");
    assert!(message.contains("no TLS session with https://localhost"), "{message}");

    let wrong_name = unknown.trusting(authority.pem().as_bytes()).unwrap();
    let (kind, message) = failure(&wrong_name);
    assert_eq!(kind, ErrorKind::Unreachable, "{message}");
    assert!(message.contains("not valid for name"), "{message}");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[test]
fn a_text_without_certificates_is_refused() {
    let client = client("https://localhost".into());
    for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let error = client.clone().trusting(bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
    }
}

#[test]
fn a_body_that_ends_without_a_farewell_is_not_whole() {
    const JOB: &str = "<jobInfo><id>750000000000001AAA</id></jobInfo>";
    for head in
        ["HTTP/1.1 201 Created\r\n\r\n", "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n"]
    {
        let (authority, acceptor) = certificate("localhost");
        let (server, _) = listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let socket = stream.clone();
                let mut stream = acceptor.accept(stream).await.unwrap();
                stream.read(&mut [0; 4096]).await.unwrap();
                stream.write_all(format!("{head}{JOB}").as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                socket.shutdown(std::net::Shutdown::Both).unwrap(); // TLS was not ended first
            }
        });
        let client = client(format!("https://localhost:{}", server.port()));
        let client = client.trusting(authority.pem().as_bytes()).unwrap();
        let (_, message) = failure(&client);
        assert!(message.contains("broke off"), "{message}");
    }
}

// ---- servers that hang up ----

/// A server that reads a request, but the bodies of batches not to their end, and answers once per
/// connection; it plays in threads.
fn hasty() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer_hastily(stream.unwrap()));
        }
    });
    address
}

fn answer_hastily(mut stream: std::net::TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let (status, body) = if first.contains("/batch ") && first.starts_with("POST") {
        (
            "400 Bad Request",
            "<error><exceptionCode>ClientInputError</exceptionCode>\
            <exceptionMessage>enough of this</exceptionMessage></error>",
        )
    } else {
        reader.read_exact(&mut vec![0; length]).unwrap();
        ("200 OK", "<jobInfo><id>750000000000001AAA</id><state>Open</state></jobInfo>")
    };
    let size = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(20)); // closing resets, and takes back what has not left
}

#[test]
fn an_answer_in_the_middle_of_an_upload_counts() {
    for _ in 0..5 {
        let client = client(format!("http://{}", hasty()));
        let rows = (0..9_000).map(|_| NewAccount { name: "x".repeat(900) });
        block_on(async {
            let mut load = client.load(impatient(Spec::insert("Account"))).rows(rows).unwrap();
            let outcome = load.next().await.unwrap().unwrap();
            assert_eq!(outcome.fate, Fate::Failed, "{}", outcome.message());
            assert!(outcome.message().contains("enough of this"), "{}", outcome.message());
        });
    }
}
