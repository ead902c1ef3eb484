//! A client of the sandbox that knows nothing but HTTP.

use mkto_testing::wait;
use reqwest::Method;
use serde_json::Value;

use super::instance::{Instance, token};

/// Who speaks to the sandbox, with a token of its own.
pub struct Caller<'a> {
    pub instance: &'a Instance,
    pub http: reqwest::Client,
    pub token: String,
}

impl<'a> Caller<'a> {
    pub fn new(instance: &'a Instance) -> Self {
        Self { instance, http: wait::client(), token: token(instance) }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.instance.sandbox.base_url()))
            .bearer_auth(&self.token)
    }

    /// Sends it, and gives the answer, which is JSON.
    pub fn send(&self, request: reqwest::RequestBuilder) -> Value {
        self.instance.block_on(async { request.send().await.unwrap().json().await.unwrap() })
    }

    pub fn get(&self, path: &str) -> Value {
        self.send(self.request(Method::GET, path))
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.send(self.request(Method::POST, path).json(body))
    }
}
