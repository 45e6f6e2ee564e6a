//! The one owner of the archive's writer: one segment at a time, until it is durable.
//!
//! Does not: look at records.

use std::time::Duration;

use tokio::sync::mpsc;
use vmrewind_archive::{ArchiveError, Durable, SegmentInput, SegmentRef, Writer};
use vmrewind_model::Timestamp;

use super::Clock;

/// While the store does not answer, it is tried again after this long, doubling up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// After so long without a commit it is looked whether this writer still leads.
const CONFIRM: Duration = Duration::from_secs(10);

/// What became of a segment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is durable.
    Stored { segment: Durable<SegmentRef>, began: Timestamp },
    /// The store did not answer; it is tried again.
    Trouble(String),
    /// This process can never write again.
    Ended(ArchiveError),
}

/// Commits what comes in until the channel closes or the writer ends.
pub(super) async fn run(
    mut writer: Writer,
    clock: Clock,
    mut batches: mpsc::Receiver<SegmentInput>,
    outcomes: mpsc::UnboundedSender<Outcome>,
) {
    let now = || clock();
    loop {
        let input = match tokio::time::timeout(CONFIRM, batches.recv()).await {
            Ok(Some(input)) => input,
            Ok(None) => return,
            Err(_) => match writer.confirm(&now).await {
                Err(error) if error.ends_writer() => {
                    // If nobody listens, the process is ending anyway.
                    let _ending = outcomes.send(Outcome::Ended(error));
                    return;
                }
                // A store that does not answer is noticed by the next commit.
                Ok(()) | Err(_) => continue,
            },
        };
        let began = clock();
        let mut result = writer.commit(input, &now).await;
        let mut pause = PAUSE;
        let outcome = loop {
            match result {
                Ok(segment) => break Outcome::Stored { segment, began },
                Err(error) if error.ends_writer() || writer.pending().is_none() => break Outcome::Ended(error),
                Err(error) => {
                    if outcomes.send(Outcome::Trouble(error.to_string())).is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                    result = writer.resume_commit(&now).await;
                }
            }
        };
        let ended = matches!(outcome, Outcome::Ended(_));
        if outcomes.send(outcome).is_err() || ended {
            return;
        }
    }
}
