//! The throw-away server is there when it is wanted, and gone afterwards.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use myelin_testing::{Postgres, postgres::Cluster};
use sqlx::{Connection, PgConnection};

/// Tells the child of [`a_killed_process_leaves_nothing_behind`] what it is.
const HOLDER: &str = "MYELIN_TEST_HOLDS_A_CLUSTER";

/// By then everything has been cleaned up, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn on_a_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(future)
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    let setting = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
    setting.fetch_one(connection).await.expect("the server has this setting")
}

#[test]
fn each_database_is_new_and_on_the_same_server() {
    let Some(server) = Postgres::shared_for("a new database") else { return };
    on_a_runtime(async {
        let (one, other) = (server.fresh_database().await, server.fresh_database().await);
        assert_ne!(one, other);
        for url in [one, other] {
            let mut connection = PgConnection::connect(&url).await.expect("it answers");
            let made = sqlx::query("CREATE TABLE t (x INT)").execute(&mut connection).await;
            assert!(made.is_ok(), "there is nothing in it yet");
        }
    });
}

#[test]
fn a_cluster_is_as_durable_as_a_real_one_and_not_open_to_everybody() {
    let Some(cluster) = Cluster::start_or_skip("the settings of a cluster") else { return };
    on_a_runtime(async {
        let mut connection = PgConnection::connect(cluster.url()).await.expect("it answers");
        assert_eq!(setting(&mut connection, "fsync").await, "on");
        assert_eq!(setting(&mut connection, "synchronous_commit").await, "on");
        assert_eq!(setting(&mut connection, "max_connections").await, "200");
        assert_eq!(setting(&mut connection, "listen_addresses").await, "127.0.0.1");
        let (_, address) = cluster.url().split_once('@').expect("there is a password in it");
        let stranger = PgConnection::connect(&format!("postgres://myelin:guess@{address}")).await;
        assert!(stranger.is_err());
    });
    let directory = cluster.directory().to_owned();
    drop(cluster);
    assert!(!directory.exists());
}

#[test]
fn a_crashed_cluster_comes_back_with_what_was_committed() {
    let Some(mut cluster) = Cluster::start_or_skip("a crash") else { return };
    on_a_runtime(async {
        let mut before = PgConnection::connect(cluster.url()).await.expect("it answers");
        for statement in ["CREATE TABLE t (x INT)", "INSERT INTO t VALUES (7)"] {
            sqlx::query(statement).execute(&mut before).await.expect("it is committed");
        }
        cluster.crash();
        assert!(PgConnection::connect(cluster.url()).await.is_err());
        assert!(sqlx::query("SELECT x FROM t").execute(&mut before).await.is_err());
        cluster.restart();
        let mut after = PgConnection::connect(cluster.url()).await.expect("it answers");
        let kept: i32 =
            sqlx::query_scalar("SELECT x FROM t").fetch_one(&mut after).await.expect("it is there");
        assert_eq!(kept, 7);
    });
}

/// Starts this very test once more, as a process that holds a cluster and says
/// where it is.
fn spawn_holder() -> (Child, [String; 2]) {
    let mut holder = Command::new(std::env::current_exe().expect("this test has a path"))
        .args(["--exact", "a_killed_process_leaves_nothing_behind", "--nocapture"])
        .env(HOLDER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process starts");
    let lines = BufReader::new(holder.stdout.take().expect("stdout is piped")).lines();
    let mut told = lines
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("cluster: ").map(|(_, told)| told.to_owned()));
    let told = [(); 2].map(|()| told.next().expect("the holder tells where the cluster is"));
    (holder, told)
}

#[test]
fn a_killed_process_leaves_nothing_behind() {
    let Some(cluster) = Cluster::start_or_skip("the end of a killed process") else { return };
    if std::env::var_os(HOLDER).is_some() {
        println!("\ncluster: {}\ncluster: {}", cluster.url(), cluster.directory().display());
        // Until it is killed.
        drop(std::io::stdin().read(&mut [0]));
        return;
    }
    let (mut holder, [url, directory]) = spawn_holder();
    on_a_runtime(async {
        let mut connection = PgConnection::connect(&url).await.expect("it answers");
        assert!(Path::new(&directory).is_dir());
        // SIGKILL: nothing in the process can clean up.
        holder.kill().expect("it is still there");
        holder.wait().expect("it has ended");
        // This ends when the server does.
        let query = sqlx::query("SELECT pg_sleep(600)").execute(&mut connection);
        let ended = tokio::time::timeout(PATIENCE, query).await.expect("the server is stopped");
        assert!(ended.is_err());
        let gone = async {
            while Path::new(&directory).exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("the files are deleted");
    });
}
