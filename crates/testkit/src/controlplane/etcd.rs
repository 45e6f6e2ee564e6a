//! What tests do to the storage behind the API server, over etcd's JSON gateway.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the newest revision.
pub(super) async fn revision(port: u16) -> anyhow::Result<u64> {
    // A key that does not exist: the header of the answer is what counts.
    let answer = post(port, "/v3/kv/range", &json!({"key": "AA==", "count_only": true})).await?;
    let text = answer.pointer("/header/revision").and_then(Value::as_str).context("etcd tells no revision")?;
    Ok(text.parse()?)
}

/// Forgets all revisions before the newest one; returns the newest.
pub(super) async fn compact(port: u16) -> anyhow::Result<u64> {
    let newest = revision(port).await?;
    post(port, "/v3/kv/compaction", &json!({"revision": newest.to_string(), "physical": true})).await?;
    Ok(newest)
}

/// Tells whether it serves reads.
pub(super) async fn ready(port: u16) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(1), revision(port)).await, Ok(Ok(_)))
}

/// One request in HTTP/1.0, where the answer ends with the connection: all that is needed here.
async fn post(port: u16, path: &str, body: &Value) -> anyhow::Result<Value> {
    let talk = async {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head =
            format!("POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, talk).await.map_err(|_| anyhow!("etcd does not answer {path}"))?;
    let answer = answer.with_context(|| format!("asking etcd for {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("etcd gave no HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200 "), "etcd answered {path} with {status}: {body}");
    Ok(serde_json::from_str(body)?)
}
