//! A running server.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Answer, Home, request};

/// A server on a free port of loopback. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    out: BufReader<ChildStdout>,
    log: PathBuf,
    first_line: String,
    /// Where it answers.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(home: &Home, variables: &[(&str, &str)]) -> Self {
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied());
        Self::spawn(home, command)
    }

    /// The same with this command.
    pub(crate) fn spawn(home: &Home, mut command: Command) -> Self {
        let log = home.path("server.log");
        let stderr = File::options().create(true).append(true).open(&log).expect("a log file");
        let process = command.stdout(Stdio::piped()).stderr(stderr).spawn();
        let mut process = process.expect("the binary starts");
        let mut out = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut first_line = String::new();
        // It listens before it says so: there is nothing to poll.
        out.read_line(&mut first_line).expect("it writes UTF-8");
        let address = first_line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            panic!("it does not start: {}", fs::read_to_string(&log).unwrap_or_default());
        };
        Self { process, out, log, first_line, address }
    }

    /// Sends a request, which must be answered.
    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(self.address, method, target, token, &body).expect("the server answers")
    }

    /// `POST` to an endpoint of the client-server API.
    pub(crate) fn post(&self, endpoint: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send("POST", &format!("/_matrix/client/v3/{endpoint}"), token, body)
    }

    /// Whose the token is, if it is anybody's.
    pub(crate) fn whoami(&self, token: &str) -> Option<Value> {
        let path = "/_matrix/client/v3/account/whoami";
        let answer = self.send("GET", path, Some(token), &Value::Null);
        (answer.status == 200).then_some(answer.body)
    }

    /// Registers a user; the access token.
    pub(crate) fn register(&self, username: &str, password: &str) -> String {
        let auth = json!({"type": "m.login.dummy"});
        let body = json!({"username": username, "password": password, "auth": auth});
        let answer = self.post("register", None, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text("access_token")
    }

    /// Kills it: SIGKILL, nothing is finished, nothing is cleaned up.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Asks it to stop and waits; its exit code, standard output and log.
    pub(crate) fn stop(self, signal: &str) -> (Option<i32>, String, String) {
        self.signal(signal);
        self.ended()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        // Every shell has `kill`; not every system has the program.
        let kill = format!("kill {signal} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
        assert!(sent.success());
    }

    /// Waits until it takes no connection any more.
    pub(crate) fn stops_listening(&self) {
        for _ in 0..1000 {
            if TcpStream::connect(self.address).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it listens still");
    }

    /// Waits for its end; its exit code, standard output and log.
    pub(crate) fn ended(mut self) -> (Option<i32>, String, String) {
        let mut out = self.first_line.clone();
        self.out.read_to_string(&mut out).expect("it writes UTF-8");
        let code = self.process.wait().expect("it ends").code();
        (code, out, fs::read_to_string(&self.log).expect("there is a log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
