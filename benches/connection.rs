//! A caller's connection: kept alive, one call at a time, and nothing on top of HTTP that could
//! cost time.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use mkto_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    authorization: String,
}

impl Connection {
    /// Connects to `http://HOST:PORT`; `token` goes with every call.
    pub(crate) async fn open(url: &str, token: &str) -> Self {
        let host = url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, host, authorization: format!("Bearer {token}") }
    }

    /// Asks for something, and gives the answer as soon as its head is there.
    pub(crate) async fn get(&mut self, target: &str) -> Response<Incoming> {
        let request = self.request(Method::GET, target).body(Full::default()).unwrap();
        self.send(request).await
    }

    /// Creates or updates one person, and gives the answer's body.
    pub(crate) async fn upsert(&mut self, email: &str) -> Bytes {
        let record = json!({"email": email, "firstName": "Ada", "lastName": "Byron"});
        let body = json!({"action": "createOrUpdate", "lookupField": "email", "input": [record]});
        let request = self
            .request(Method::POST, "/rest/v1/leads.json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        self.send(request).await.into_body().collect().await.unwrap().to_bytes()
    }

    fn request(&self, method: Method, target: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, &self.authorization)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap()
    }
}

/// The status of the one record that an upsert wrote.
pub(crate) fn status(answer: &Bytes) -> String {
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let status = answer.pointer("/result/0/status").and_then(Value::as_str);
    status.map_or_else(|| answer.to_string(), str::to_owned)
}

/// A token of the sandbox's own API user.
pub(crate) async fn token(sandbox: &Sandbox) -> String {
    let identity = [
        ("grant_type", "client_credentials"),
        ("client_id", sandbox.client_id()),
        ("client_secret", sandbox.client_secret()),
    ];
    let url = format!("{}/identity/oauth/token", sandbox.base_url());
    let answer = reqwest::Client::new().post(url).form(&identity).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer.get("access_token").and_then(Value::as_str).unwrap().to_owned()
}
