//! Connections: limits, timeouts, graceful end.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use axum::{body::Body, extract::ConnectInfo};
use hyper::{Request, Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{
    App, Workers, answer_in_time::in_time, client_stream::ClientStream, router::entry,
    to_the_end::Turns,
};

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may leave an answer unread. Of what waits for it, the system
/// wants a good part to be gone before more is written: a slow line needs minutes.
const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
/// The most that the head of a request may take, in bytes.
const HEADER_LIMIT: usize = 32 * 1024;
/// Requests at a time on one connection.
const HTTP2_STREAMS: u32 = 64;
/// How long requests may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(30);
/// How often expired sessions are swept.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Answers requests on `listener` until `stop` resolves, then lets those that
/// are under way finish.
///
/// # Errors
///
/// None for what a client does. An error to accept connections (such as too
/// many open files) is logged, and tried again.
pub async fn serve(
    app: App,
    listener: TcpListener,
    workers: Workers,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let (alive, mut ended) = mpsc::channel(1);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (app, turns) = (app.clone(), Turns::new(HTTP2_STREAMS, alive.clone()));
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, mut request) = (app.clone(), request.map(Body::new));
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            request.extensions_mut().insert(turns.clone());
            let is_one_of_many = request.version() == Version::HTTP_2;
            async move {
                let response = entry(&app, request).await;
                Ok::<_, Infallible>(if is_one_of_many {
                    response.map(|body| in_time(body, WRITE_TIMEOUT))
                } else {
                    response
                })
            }
        });
        prepare(&stream);
        let (builder, watcher) = (builder.clone(), graceful.watcher());
        let given = workers.give(stream, async move |stream| {
            let stream = TokioIo::new(ClientStream::new(stream, HEADER_TIMEOUT, WRITE_TIMEOUT));
            let connection = builder.serve_connection_with_upgrades(stream, service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "connection ended");
            }
        });
        if let Err(error) = given {
            tracing::error!(%error, "cannot take a connection");
        }
    }
    drop((listener, alive));
    let end = async {
        graceful.shutdown().await;
        // Nobody says anything: this is when the last of them is gone.
        let _: Option<()> = ended.recv().await;
    };
    if tokio::time::timeout(GRACE, end).await.is_err() {
        tracing::warn!("requests were still under way at the end");
    }
    Ok(())
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_LIMIT).unwrap_or(u32::MAX))
        .max_concurrent_streams(HTTP2_STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    builder
}

fn prepare(stream: &TcpStream) {
    // Answers are small and whole: waiting for more to send only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no nodelay");
    }
}

/// Deletes what has expired, now and then, for ever. To be run once beside
/// however many [`serve`] there are.
pub async fn sweep(app: App) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        match app.store().sweep(app.now()).await {
            Ok(rows) => tracing::debug!(rows, "swept"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot sweep");
            }
        }
    }
}
