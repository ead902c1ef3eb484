//! A certificate that is not to be trusted: told at once, with what to do, and nothing is sent.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::wait;
use crate::support::{Guard, Instance, Mode, Run, quick};

/// What is wrong with a certificate.
#[derive(Clone, Copy)]
enum Wrong {
    Issuer,
    Expired,
    Name,
}

const ALL: [(Wrong, &str, &str); 3] = [
    (Wrong::Issuer, "no authority that this system trusts has signed it", "SSL_CERT_FILE"),
    (Wrong::Expired, "it expired on 2020-01-01", "this machine's clock"),
    (Wrong::Name, "it is for another name", "MARKETO_BASE_URL"),
];

/// A server with such a certificate, the file of the authorities that its callers trust, and how
/// often it was called.
struct Server {
    url: String,
    trusted: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(instance: &Instance, wrong: Wrong) -> Self {
        let made = |name: &str, year: i32| {
            let mut certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
            certificate.not_after = date_time_ymd(year, 1, 1);
            let key = KeyPair::generate().unwrap();
            (certificate.self_signed(&key).unwrap(), key)
        };
        let (shown, key) = match wrong {
            Wrong::Issuer => made("127.0.0.1", 2100),
            Wrong::Expired => made("127.0.0.1", 2020),
            Wrong::Name => made("other.example.com", 2100),
        };
        let trusted =
            if let Wrong::Issuer = wrong { made("127.0.0.1", 2100).0.pem() } else { shown.pem() };
        let trusted = instance.file("authorities.pem", trusted).to_str().unwrap().to_owned();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![shown.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let connections: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut tls = StreamOwned::new(
                    ServerConnection::new(Arc::clone(&config)).unwrap(),
                    stream.unwrap(),
                );
                let mut read = [0; 1024];
                assert!(
                    tls.read(&mut read).is_err() || tls.write_all(b"?").is_err(),
                    "a caller trusted it"
                );
            }
        });
        Self { url, trusted, connections }
    }

    fn variables(&self) -> [(&str, &str); 2] {
        [("MARKETO_BASE_URL", &self.url), ("SSL_CERT_FILE", &self.trusted)]
    }

    /// Connections since the last look.
    fn connections(&self) -> usize {
        self.connections.swap(0, Ordering::SeqCst)
    }
}

#[test]
fn every_command_tells_at_once_what_is_wrong_with_a_certificate_and_what_to_do() {
    for (wrong, what, mend) in ALL {
        let instance = Instance::start(quick());
        let server = Server::start(&instance, wrong);
        let file = instance.file("people.csv", "id,email\n1,ada@example.com\n2,ada@example.com\n");
        let run = |arguments: &str| {
            let arguments = arguments.replace("FILE", file.to_str().unwrap());
            Run::of(instance.command(arguments.split(' ')).envs(server.variables()))
        };
        run("scan --file FILE").expect_code(0);
        for arguments in
            ["scan", "scan --estimate", "doctor", "upsert FILE", "merge", "merge --confirm"]
        {
            let run = run(arguments).expect_code(1);
            let told = format!("{}{}", run.stdout, run.stderr);
            assert!(told.contains(what) && told.contains(mend), "{arguments}: {}", run.picture());
            assert_eq!(server.connections(), 1, "{arguments}: {}", run.picture());
        }
    }
}

#[test]
fn it_is_told_at_once_too_where_the_token_comes_from_elsewhere() {
    let instance = Instance::start(quick());
    let server = Server::start(&instance, Wrong::Issuer);
    let identity = format!("{}/identity", instance.sandbox.base_url());
    let mut command = instance.command(["doctor"]);
    let run = Run::of(command.envs(server.variables()).env("MARKETO_IDENTITY_URL", identity))
        .expect_code(1);
    assert!(run.stdout.contains("no authority that this system trusts"), "{}", run.picture());
    assert_eq!(server.connections(), 1, "{}", run.picture());
}

#[test]
fn a_guard_refuses_a_write_that_surely_was_not_sent_and_says_why() {
    for mode in Mode::GUARDING {
        for (wrong, what, mend) in ALL {
            let instance = Instance::start(quick());
            let server = Server::start(&instance, wrong);
            // At the wall's own pace, so that no call is too late to leave on a slow machine.
            let guard = Guard::builder(&instance).variables(server.variables());
            let guard = guard.mode(mode).unhurried().start();
            let call = |method: reqwest::Method, body: Option<&Value>| {
                let call = wait::blocking_client()
                    .request(method, format!("{}/rest/v1/leads.json", guard.url()));
                let call = call.bearer_auth("caller-token");
                body.map_or_else(
                    || call.try_clone().unwrap(),
                    |body| call.try_clone().unwrap().json(body),
                )
                .send()
                .unwrap()
            };
            let write = call(
                reqwest::Method::POST,
                Some(&json!({"input": [{"email": "ada@example.com"}]})),
            );
            assert_eq!(write.status(), 200);
            let write: Value = write.json().unwrap();
            assert_eq!(
                (&write["success"], &write["errors"][0]["code"]),
                (&json!(false), &json!("608")),
                "{write}"
            );
            let message = write["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(what) && message.contains("nothing was sent"), "{message}");
            assert_eq!(server.connections(), 1, "{}", guard.log());
            let read = call(reqwest::Method::GET, None);
            assert_eq!(read.status(), 502);
            assert_eq!(server.connections(), 1, "{}", guard.log());
            guard.logged(mend);
        }
    }
}
