//! Probes and metrics on one port.
//!
//! Does not: know more than the newest report.

mod metrics;

use std::{fmt::Write as _, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{driver::Clock, report::Report};

/// A loop that has said nothing for this long hangs.
const HANGS: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Shared {
    reports: watch::Receiver<Report>,
    clock: Clock,
    steady: Clock,
}

/// Serves until `stop`, with the wall clock and the one that only ever passes.
///
/// # Errors
/// If the socket fails.
pub async fn serve(
    listener: TcpListener,
    reports: watch::Receiver<Report>,
    (clock, steady): (Clock, Clock),
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Shared { reports, clock, steady });
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

/// Alive: the loop turns, or has not begun to.
async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    let at = shared.reports.borrow().at;
    match at {
        Some(at) if (shared.steady)().since(at) > HANGS => (StatusCode::SERVICE_UNAVAILABLE, "the loop hangs\n"),
        Some(_) | None => (StatusCode::OK, "ok\n"),
    }
}

/// Ready: every resource is proven and nothing is wanted. Else one reason per line.
async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    let report = shared.reports.borrow().clone();
    let reasons = report.reasons();
    if report.at.is_some() && reasons.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let mut text = "not ready\n".to_owned();
    for reason in reasons {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "- {reason}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let report = shared.reports.borrow().clone();
    match metrics::encode_metrics(&report, (shared.clock)()) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
