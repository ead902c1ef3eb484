//! `mkto-audit guard` behind a proxy of its company's, and what its metrics say.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::json;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::wait::{self, PATIENCE};
use crate::support::{Guard, Instance, quick};

/// A proxy that tunnels each connection to a Marketo of its own, and gives what it was asked for.
fn proxy(config: Arc<ServerConfig>) -> (u16, std::sync::mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let asked = head(&mut stream);
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream);
            let sent = head(&mut tls);
            tls.write_all(&crate::support::stub::json(
                r#"{"requestId":"a#1","result":[],"success":true}"#,
            ))
            .unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            told.send((asked, sent)).unwrap();
        }
    });
    (port, heard)
}

fn head(stream: &mut impl std::io::Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn marketo_is_reached_through_the_proxy_that_the_environment_names() {
    let instance = Instance::start(quick());
    let made = rcgen::generate_simple_self_signed(["marketo.example.com".to_owned()]).unwrap();
    let authorities = instance.file("authorities.pem", made.cert.pem());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let (port, heard) = proxy(Arc::new(config));
    let address = format!("http://user:pass@127.0.0.1:{port}");
    let common = [
        ("MARKETO_BASE_URL", "https://marketo.example.com"),
        ("MKTO_AUDIT_CLOCK_SPEED", "1"),
        ("SSL_CERT_FILE", authorities.to_str().unwrap()),
    ];
    // Each has a home of its own: in that of a guard that was killed it would wait until that one's
    // calls are over.
    let alone = |name: &str| {
        let home = instance.path(name);
        std::fs::create_dir_all(&home).unwrap();
        home.display().to_string()
    };
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let home = alone(variable);
        let own = [(variable, address.as_str()), ("HOME", home.as_str())];
        let guard = Guard::builder(&instance).variables(common.into_iter().chain(own)).start();
        let (status, body) = guard.get("/rest/v1/lists.json", "caller-token");
        assert_eq!((status, &body["success"]), (200, &json!(true)), "{variable} {}", guard.log());
        let (asked, sent) = heard.recv_timeout(PATIENCE).unwrap();
        assert!(asked.starts_with("CONNECT marketo.example.com:443 HTTP/1.1"), "{asked}");
        assert!(
            asked.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"),
            "{asked}"
        );
        assert!(!asked.contains("caller-token"), "the proxy sees no token: {asked}");
        assert!(
            sent.starts_with("GET /rest/v1/lists.json HTTP/1.1")
                && sent.contains("Bearer caller-token"),
            "{sent}"
        );
        assert!(!guard.log().contains("pass@"), "{}", guard.log());
    }
    let home = alone("NO_PROXY");
    let but_not =
        [("HTTPS_PROXY", address.as_str()), ("NO_PROXY", "example.com"), ("HOME", home.as_str())];
    let guard = Guard::builder(&instance).variables(common.into_iter().chain(but_not)).start();
    assert_eq!(guard.get("/rest/v1/lists.json", "caller-token").0, 502, "there is no such host");
    assert!(heard.try_recv().is_err());
    // What is on this machine is never reached by way of another.
    let guard = Guard::builder(&instance)
        .variables([("HTTP_PROXY", address.as_str()), ("ALL_PROXY", address.as_str())])
        .start();
    assert_eq!(guard.sync(&json!({"input": [{"email": "a@example.com"}]}))["success"], true);
    assert!(heard.try_recv().is_err());

    let mut refused = instance.command(["guard", "--listen", "127.0.0.1:0"]);
    refused.envs(common).env("HTTPS_PROXY", "socks5://127.0.0.1:9");
    let refused = wait::run(&mut refused);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("socks5"), "{words}");
}

#[test]
fn every_figure_has_its_help_its_type_and_the_right_value() {
    let instance = Instance::start(quick());
    for _ in 0..2 {
        instance.sandbox.put_lead(&json!({"email": "twice@example.com"}));
    }
    let guard = Guard::builder(&instance).daily_calls(777).start();
    let token = guard.token();
    guard.get("/rest/v1/lists.json", &token);
    guard.sync(&json!({"input": [
        {"email": "a@example.com"}, {"email": "b@example.com"}, {"email": "A@example.com"},
        {"email": "twice@example.com"}, {"email": "c@example.com", "numberOfEmployees": "many"},
    ]}));
    guard.sync(&json!({"action": "createDuplicate", "input": [{"email": "a@example.com"}]}));
    guard.sync(&json!({"lookupField": "phone", "input": [{"phone": "1"}]}));
    let (status, page) = guard.page("/-/metrics");
    assert_eq!(status, 200);
    assert!(page.ends_with("# EOF\n"), "{page}");
    for (name, kind) in [
        ("records", "counter"),
        ("batch_records", "histogram"),
        ("coalesced", "counter"),
        ("races_prevented", "counter"),
        ("create_duplicate", "counter"),
        ("unclear", "counter"),
        ("too_many", "counter"),
        ("passed", "counter"),
        ("upstream_seconds", "histogram"),
        ("queue_records", "gauge"),
        ("queue_oldest_seconds", "gauge"),
        ("quota_used", "gauge"),
        ("quota_budget", "gauge"),
    ] {
        assert!(page.contains(&format!("# HELP mkto_guard_{name} ")), "{name} {page}");
        assert!(page.contains(&format!("# TYPE mkto_guard_{name} {kind}\n")), "{name} {page}");
    }
    for (name, value) in [
        ("records_total{outcome=\"created\"}", 3.0),
        ("records_total{outcome=\"updated\"}", 1.0),
        ("records_total{outcome=\"skipped\"}", 2.0),
        ("records_total{outcome=\"refused\"}", 1.0),
        ("coalesced_total", 1.0),
        ("create_duplicate_total", 1.0),
        // The list, and a token for it and for each write.
        ("passed_total{status=\"200\"}", 5.0),
        ("batch_records_count", 3.0),
        ("batch_records_sum", 6.0),
        ("queue_records", 0.0),
        ("queue_oldest_seconds", 0.0),
        ("quota_budget", 777.0),
    ] {
        let is = guard.metric(&format!("mkto_guard_{name}"));
        assert_eq!(is.to_string(), value.to_string(), "{name}\n{page}");
    }
    // The list; look-up and creation; the duplicate; the one that was refused.
    let calls = f64::from(u32::try_from(instance.sandbox.calls_made()).unwrap());
    assert_eq!(guard.metric("mkto_guard_quota_used").to_string(), calls.to_string());
    assert!(guard.metric("mkto_guard_upstream_seconds_count{kind=\"write\"}") >= 2.0);
}
