//! Archives in a real S3 server: both programs, an outage, and what they say when they may not or cannot.

use std::net::TcpListener;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use vmrewind_testkit::bench::{Bench, BenchOptions, PATIENCE, run, vm};
use vmrewind_testkit::s3::S3Server;
use vmrewind_testkit::scratch;
use vmrewind_testkit::wait::{Seen, wait_for};
use vmrewind_tests::{Answer, History, Line, Tool, Watcher, WatcherOptions, agree_with_python_reader};

/// Where the archive is in the server.
const PLACE: &str = "archives/clusters/prod";

/// A cluster, a server with an empty bucket, and a folder for logs.
struct Ground {
    bench: Bench,
    server: S3Server,
    folder: TempDir,
}

impl Ground {
    async fn new() -> anyhow::Result<Self> {
        let bench = Bench::start(BenchOptions::default()).await?;
        let server = S3Server::start().await?;
        server.make_bucket("archives")?;
        Ok(Self { bench, server, folder: scratch::directory("site")? })
    }

    fn tool(&self, url: &str, environment: &[(String, String)]) -> anyhow::Result<Tool> {
        let tool = Tool::new(&self.bench.plane.kubeconfig(), Path::new(url), self.folder.path())?;
        Ok(tool.with_environment(environment))
    }

    fn watcher(&self, url: &str, environment: &[(String, String)]) -> anyhow::Result<Watcher> {
        let flags = ["--watch-timeout=3s", "--heartbeat=1s", "--secrets=store"].map(str::to_owned).to_vec();
        let options = WatcherOptions { flags, environment: environment.to_vec(), ..WatcherOptions::default() };
        let log = self.folder.path().join("watcher.log");
        Watcher::start(&self.bench.plane.kubeconfig(), Path::new(url), &log, &options)
    }

    /// Labels the machine and returns its resource version since.
    async fn label(&self, value: &str) -> anyhow::Result<String> {
        let label = json!({"metadata": {"labels": {"turn": value}}});
        let changed = self.bench.patch(&vm("prod", "db"), &label).await?;
        Ok(changed["metadata"]["resourceVersion"].as_str().context("a version")?.to_owned())
    }
}

/// Waits until the archive has a version of the machine.
async fn recorded(tool: &Tool, rv: &str) -> anyhow::Result<History> {
    wait_for(&format!("prod/db at {rv} is recorded"), PATIENCE, async || {
        let history = History::read(tool).await?;
        let there = history.of("VirtualMachine", "prod", "db").any(|line| line.rv().as_deref() == Some(rv));
        let seen = format!("{} records", history.lines.len());
        Ok(Seen::or_not_yet(there.then_some(history), || seen))
    })
    .await
}

/// Checks that an error says what it must, and what to do, and no secret.
fn assert_told(answer: &Answer, code: i32, parts: &[&str]) {
    let said = format!("{}\n{}{}", answer.call, answer.stdout, answer.stderr);
    assert_eq!(answer.code, code, "{said}");
    assert!(answer.stderr.starts_with("Error: ") && answer.stderr.contains("\nHint: "), "{said}");
    for part in parts {
        assert!(answer.stderr.contains(part), "it does not say {part:?}: {said}");
    }
    assert!(!said.contains("StringToSign") && !said.contains("wrong-secret"), "{said}");
}

#[test]
fn an_archive_in_an_s3_server_is_written_over_an_outage_and_read_as_one_in_a_directory() {
    run(async {
        let mut ground = Ground::new().await?;
        let (url, credentials) = (ground.server.url(PLACE), ground.server.environment());
        let tool = ground.tool(&url, &credentials)?;
        ground.bench.namespace("prod").await?;
        ground.bench.create(&vmrewind_testkit::build::vm("db").namespace("prod").to_post()).await?;
        let mut watcher = ground.watcher(&url, &credentials)?.ready().await?;
        let before = ground.label("before").await?;
        recorded(&tool, &before).await?;

        ground.server.kill_9()?;
        let during = ground.label("during").await?;
        wait_for("the watcher notices that the store is away", PATIENCE, async || {
            let errors = watcher.metric("vmrewind_watcher_store_errors_total").await?;
            Ok(Seen::or_not_yet(errors.filter(|errors| *errors > 0.0), || format!("{errors:?}")))
        })
        .await?;
        assert!(watcher.runs()?, "it waits for the store");
        ground.server.revive().await?;
        recorded(&tool, &during).await?;
        let after = ground.label("after").await?;
        let history = recorded(&tool, &after).await?;
        watcher.stop().await?;

        history.assert_sound()?;
        assert_eq!(history.gaps().count(), 0, "{:?}", history.gaps().next());
        let versions: Vec<_> = history.of("VirtualMachine", "prod", "db").filter_map(Line::rv).collect();
        let at = |rv: &String| versions.iter().position(|version| version == rv);
        assert!(at(&before) < at(&during) && at(&during) < at(&after), "{versions:?}");
        let machine = tool.ok(&["get", "vm", "db", "-n", "prod", "--at", "latest", "-o", "json"]).await?;
        assert!(machine.stdout.contains("\"turn\": \"after\""), "{}", machine.stdout);
        let log = tool.ok(&["log", "vm/db", "-n", "prod"]).await?;
        assert!(log.stdout.contains(&after), "{}", log.stdout);
        let info = tool.ok(&["info", "-o", "json"]).await?.json()?;
        assert!(info["resources"].as_array().is_some_and(|resources| !resources.is_empty()), "{info}");
        // The server keeps objects as files: the same bytes are an archive in a directory.
        let files = ground.server.bucket("archives").join("clusters/prod");
        agree_with_python_reader(&tool, &files).await?;
        let copy = ground.tool(&files.display().to_string(), &[])?;
        let (ours, theirs) = (["log", "-A", "--all", "-o", "jsonl"], ["dump", "-A", "-o", "jsonl", "--at", "latest"]);
        for call in [&ours[..], &theirs[..]] {
            assert_eq!(tool.ok(call).await?.stdout, copy.ok(call).await?.stdout);
        }
        Ok(())
    });
}

#[test]
fn wrong_credentials_buckets_and_endpoints_are_named_with_a_hint_and_the_right_exit_code() {
    run(async {
        let ground = Ground::new().await?;
        let (url, credentials) = (ground.server.url(PLACE), ground.server.environment());
        let with = |name: &str, value: &str| {
            let mut changed = credentials.clone();
            changed.iter_mut().filter(|(n, _)| n == name).for_each(|(_, v)| value.clone_into(v));
            changed
        };
        let (secret, key) = (with("AWS_SECRET_ACCESS_KEY", "wrong-secret"), with("AWS_ACCESS_KEY_ID", "nobody"));
        let info =
            async |url: &str, environment: &[(String, String)]| ground.tool(url, environment)?.run(&["info"]).await;

        assert_told(
            &info(&url, &secret).await?,
            8,
            &["access is denied", "403 SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"],
        );
        assert_told(&info(&url, &key).await?, 8, &["access is denied", "XAdminUserNotFound", "AWS_ACCESS_KEY_ID"]);
        let nowhere = ground.server.url("nowhere/clusters/prod");
        assert_told(
            &info(&nowhere, &credentials).await?,
            10,
            &["the bucket of s3://nowhere", "does not exist", "endpoint"],
        );
        assert_told(&info(&url, &credentials).await?, 10, &["is not an archive", "archive.json"]);
        // Nobody listens there any more.
        let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let away = format!("s3://archives/prod?endpoint=http://{closed}&allow_http=true");
        assert_told(
            &info(&away, &credentials).await?,
            8,
            &["cannot read archive.json", &closed.to_string(), "endpoint"],
        );
        // Without credentials it asks the machine that it runs on, which must not be reached from a test.
        let metadata = [("AWS_METADATA_ENDPOINT".to_owned(), format!("http://{closed}"))];
        assert_told(&info(&url, &metadata).await?, 8, &["credentials"]);

        for (place, environment, code, part) in
            [(&url, &secret, 1, "SignatureDoesNotMatch"), (&nowhere, &credentials, 10, "does not exist")]
        {
            let (ended, said) = ground.watcher(place, environment)?.ended().await?;
            assert_eq!(ended, Some(code), "{said}");
            assert!(said.contains("Error: ") && said.contains("Hint: ") && said.contains(part), "{said}");
            assert!(!said.contains("wrong-secret"), "{said}");
        }
        let left = std::fs::read_dir(ground.server.bucket("archives"))?.count();
        assert_eq!(left, 0, "nothing was written");
        Ok(())
    });
}
