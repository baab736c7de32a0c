//! nginx, as the peer and as the fast upstream of both.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

use crate::server::{await_answer, free_address};

/// A running nginx; it ends with this.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Drop for Nginx {
    /// Asks it to end: killed, it would leave its workers.
    fn drop(&mut self) {
        if let Some(id) = self.process.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        }
    }
}

impl Nginx {
    /// One that answers everything with `body`.
    pub(crate) async fn answering(directory: &Path, body: &str) -> Result<Self> {
        let answer = format!("default_type application/json; return 200 '{body}';");
        Self::start(&directory.join("upstream"), "", &answer).await
    }

    /// One that passes everything on.
    pub(crate) async fn proxy(directory: &Path, upstream: SocketAddr) -> Result<Self> {
        let upstream = format!("upstream homeserver {{ server {upstream}; keepalive 128; }}");
        let pass = "proxy_pass http://homeserver; proxy_http_version 1.1; \
                    proxy_set_header Connection ''; proxy_set_header Host $host; \
                    proxy_set_header X-Forwarded-For $remote_addr; \
                    proxy_set_header X-Forwarded-Proto $scheme; \
                    proxy_request_buffering off; proxy_max_temp_file_size 0; \
                    client_max_body_size 0;";
        Self::start(&directory.join("nginx"), &upstream, pass).await
    }

    async fn start(directory: &Path, upstream: &str, location: &str) -> Result<Self> {
        let address = free_address();
        fs::create_dir_all(directory)?;
        let place = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
            .concat();
        let text = format!(
            "daemon off; worker_processes auto; pid {place}/pid; error_log stderr crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; {temporary} {upstream}\n\
             server {{ listen {address}; location / {{ {location} }} }} }}\n"
        );
        let file: PathBuf = directory.join("nginx.conf");
        fs::write(&file, text)?;
        let process = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(directory)
            .arg("-c")
            .arg(file)
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        await_answer(address).await?;
        Ok(Self { address, process })
    }
}
