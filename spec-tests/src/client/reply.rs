use serde_json::Value;

use super::request::shown;
use crate::{Failure, stage};

/// A response, with the request that it answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    request: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body; null if it is not JSON.
    pub(crate) json: Value,
}

/// What a 401 of User-Interactive Authentication says.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) session: String,
    pub(crate) flows: Vec<Vec<String>>,
    pub(crate) params: Value,
    pub(crate) completed: Vec<String>,
}

impl Challenge {
    /// Whether every native flow asks for a second factor. The page behind
    /// `m.login.sso` asks for both factors.
    pub(crate) fn always_asks_for_a_factor(&self) -> bool {
        self.flows
            .iter()
            .all(|flow| flow.iter().any(|name| stage::is_factor(name)) || *flow == [stage::SSO])
    }
}

impl Reply {
    pub(super) fn new(
        request: String,
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Self { request, status, headers, body, json }
    }

    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all_headers(name).next()
    }

    /// Every header of that name.
    pub(crate) fn all_headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The `errcode`, if there is one.
    pub(crate) fn errcode(&self) -> Option<&str> {
        self.json.get("errcode").and_then(Value::as_str)
    }

    /// A failure: something else was expected than this reply.
    pub(crate) fn unlike(&self, expected: impl Into<String>) -> Failure {
        let came = format!("{} {}", self.status, shown(&self.body));
        Failure::new(expected, came, self.request.clone())
    }

    /// Demands that `held` is true.
    pub(crate) fn demand(&self, held: bool, expected: &str) -> Result<&Self, Failure> {
        if held { Ok(self) } else { Err(self.unlike(expected)) }
    }

    /// Demands a status.
    pub(crate) fn status(&self, status: u16) -> Result<&Self, Failure> {
        self.demand(self.status == status, &format!("status {status}"))
    }

    /// Demands a status with an error code and a text for people.
    pub(crate) fn refused(&self, status: u16, errcode: &str) -> Result<&Self, Failure> {
        let held = self.status == status
            && self.errcode() == Some(errcode)
            && self.json["error"].is_string();
        self.demand(held, &format!("status {status} with errcode {errcode} and an error text"))
    }

    /// Demands a status with any Matrix error.
    pub(crate) fn refused_any(&self, status: u16) -> Result<&Self, Failure> {
        let held = self.status == status && self.errcode().is_some();
        self.demand(held, &format!("status {status} with an errcode"))
    }

    /// Demands that nothing was done: no success.
    pub(crate) fn not_executed(&self) -> Result<&Self, Failure> {
        let held = self.status >= 400 && self.json.get("access_token").is_none();
        self.demand(held, "a refusal, nothing executed")
    }

    /// Demands the answer to a code that is wrong in any way.
    pub(crate) fn wrong(&self) -> Result<Challenge, Failure> {
        self.refused(401, "M_FORBIDDEN")?.challenge()
    }

    /// Whether a stage was done and more are to do.
    pub(crate) fn is_stage_done(&self) -> bool {
        self.status == 401 && self.errcode().is_none() && !self.completed().is_empty()
    }

    /// Demands that a stage was done: the operation ran or more is to do.
    pub(crate) fn accepted(&self) -> Result<&Self, Failure> {
        let held = self.status == 200 || self.is_stage_done();
        self.demand(held, "the stage done: 200, or 401 without errcode and with `completed`")
    }

    /// Demands a wait, and returns its milliseconds.
    pub(crate) fn waits(&self) -> Result<u64, Failure> {
        self.refused(429, "M_LIMIT_EXCEEDED")?;
        let header = self.header("Retry-After").and_then(|value| value.parse::<u64>().ok());
        self.demand(header.is_some_and(|seconds| seconds > 0), "a Retry-After header in seconds")?;
        let wait = self.json["retry_after_ms"].as_u64().filter(|wait| *wait > 0);
        wait.ok_or_else(|| self.unlike("a positive integer retry_after_ms"))
    }

    /// Demands a string at a JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> Result<&str, Failure> {
        let found = self.json.pointer(pointer).and_then(Value::as_str);
        found.ok_or_else(|| self.unlike(format!("a string at {pointer}")))
    }

    /// Demands a list of strings at a JSON pointer.
    pub(crate) fn texts(&self, pointer: &str) -> Result<Vec<String>, Failure> {
        let found = self.json.pointer(pointer).and_then(strings);
        found.ok_or_else(|| self.unlike(format!("a list of strings at {pointer}")))
    }

    /// Demands that a JSON pointer leads to `value`.
    pub(crate) fn holds(&self, pointer: &str, value: &Value) -> Result<&Self, Failure> {
        let held = self.json.pointer(pointer) == Some(value);
        self.demand(held, &format!("{value} at {pointer}"))
    }

    /// Demands a complete body of User-Interactive Authentication.
    pub(crate) fn challenge(&self) -> Result<Challenge, Failure> {
        self.status(401)?;
        let session = self.text("/session")?.to_owned();
        let flows = self.json["flows"].as_array().and_then(|flows| {
            flows.iter().map(|flow| strings(flow.get("stages")?)).collect::<Option<Vec<_>>>()
        });
        let flows = flows.ok_or_else(|| self.unlike("flows, each with stages"))?;
        self.demand(!flows.is_empty(), "at least one flow")?;
        let params = self.json["params"].clone();
        self.demand(params.is_object(), "params, an object")?;
        let completed = self.completed();
        let prefix = flows.iter().any(|flow| flow.starts_with(&completed));
        self.demand(prefix, "`completed` as a prefix of one of the flows")?;
        Ok(Challenge { session, flows, params, completed })
    }

    /// Demands that no cache keeps this.
    pub(crate) fn no_store(&self) -> Result<&Self, Failure> {
        let control = self.header("Cache-Control").unwrap_or_default().to_ascii_lowercase();
        let held = control.split(',').any(|directive| directive.trim() == "no-store");
        self.demand(held, &format!("Cache-Control: no-store, not {control:?}"))
    }

    /// The completed stages; none where the key is left out.
    pub(crate) fn completed(&self) -> Vec<String> {
        strings(&self.json["completed"]).unwrap_or_default()
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(status: u16, json: &Value) -> Reply {
        let headers = vec![("retry-after".to_owned(), "30".to_owned())];
        Reply::new("GET /".into(), status, headers, json.to_string().into_bytes())
    }

    fn challenge(completed: &Value) -> Value {
        json!({"session": "s", "params": {}, "completed": completed,
               "flows": [{"stages": ["a", "b"]}]})
    }

    #[test]
    fn a_challenge_needs_session_flows_and_params() {
        assert!(reply(401, &challenge(&json!([]))).challenge().is_ok());
        for key in ["session", "flows", "params"] {
            let mut body = challenge(&json!([]));
            body.as_object_mut().unwrap().remove(key);
            assert!(reply(401, &body).challenge().is_err(), "without {key}");
        }
        assert!(reply(403, &challenge(&json!([]))).challenge().is_err());
    }

    #[test]
    fn completed_stages_out_of_order_are_a_failure() {
        assert!(reply(401, &challenge(&json!(["a"]))).challenge().is_ok());
        assert!(reply(401, &challenge(&json!(["b"]))).challenge().is_err());
    }

    #[test]
    fn a_wait_needs_both_the_field_and_the_header() {
        let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "x", "retry_after_ms": 900});
        let mut reply = reply(429, &body);
        assert_eq!(reply.waits(), Ok(900));
        reply.headers.clear();
        assert!(reply.waits().is_err());
    }

    #[test]
    fn a_token_in_a_refusal_counts_as_executed() {
        assert!(reply(401, &json!({"access_token": "t"})).not_executed().is_err());
        assert!(reply(200, &json!({})).not_executed().is_err());
        assert!(reply(404, &json!({})).not_executed().is_ok());
    }

    #[test]
    fn a_failure_says_expected_got_and_request() {
        let failure = reply(404, &json!({})).status(200).unwrap_err();
        assert_eq!(failure, Failure::new("status 200", "404 {}", "GET /"));
    }
}
