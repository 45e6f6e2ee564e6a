//! What the port answers.

use std::sync::Arc;

use axum::{body::to_bytes, response::Response};
use vmrewind_model::{ProofState, ResourceId, Timestamp};

use super::*;
use crate::engine::{ResourceStatus, Status};

fn shared(report: Report) -> State<Shared> {
    let (_, reports) = watch::channel(report);
    let clock: Clock = Arc::new(|| Timestamp::MIN.plus(Duration::from_secs(100)));
    State(Shared { reports, steady: clock.clone(), clock })
}

fn report(state: ProofState, detail: &str) -> Report {
    let resource = ResourceStatus {
        id: ResourceId::new("", "secrets", ""),
        kind: "Secret".into(),
        state,
        proven_at: Some(Timestamp::MIN.plus(Duration::from_secs(90))),
        detail: detail.into(),
    };
    let status = Status { started: true, resources: vec![resource], ..Status::default() };
    Report { at: Some(Timestamp::MIN.plus(Duration::from_secs(99))), status, ..Report::default() }
}

async fn text(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn is_ready_when_every_resource_is_proven() {
    let (status, body) = text(readyz(shared(report(ProofState::Live, ""))).await.into_response()).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ready\n"));
}

#[tokio::test]
async fn says_which_kind_and_verb_keep_it_from_being_ready() {
    let report = report(ProofState::Denied, "list secrets is forbidden (403)");
    let (status, body) = text(readyz(shared(report)).await.into_response()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "not ready\n- secrets: denied: list secrets is forbidden (403)\n");
}

#[tokio::test]
async fn is_not_ready_before_the_loop_has_begun_but_alive() {
    let (status, _) = text(readyz(shared(Report::default())).await.into_response()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = text(healthz(shared(Report::default())).await.into_response()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn is_not_alive_when_the_loop_hangs() {
    let report = Report { at: Some(Timestamp::MIN), ..Report::default() };
    let (status, _) = text(healthz(shared(report)).await.into_response()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn metrics_tell_lag_state_and_commits_in_openmetrics() {
    let (status, body) = text(metrics(shared(report(ProofState::Live, ""))).await.into_response()).await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        r#"vmrewind_watcher_lag_seconds{resource="secrets",kind="Secret",namespace=""} 10.0"#,
        r#"vmrewind_watcher_resource_state{resource="secrets",kind="Secret",namespace="",state="live",reason=""} 1"#,
        "vmrewind_watcher_ready 1",
        "vmrewind_watcher_corrections_total 0",
        "vmrewind_watcher_commit_latency_seconds_count 0",
        "# EOF",
    ] {
        assert!(body.contains(line), "{line} is missing in\n{body}");
    }
}
