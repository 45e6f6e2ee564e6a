//! The one way in which tests wait for what happens in another process.
//!
//! Does not: decide how long is too long; what is waited for either comes true, or the test fails and says what it saw.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// The pause after the first look; it doubles up to [`LONGEST`], and is never shorter than the look before it took.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(160);

/// What a look found.
#[derive(Debug)]
pub enum Seen<T> {
    /// What was waited for.
    There(T),
    /// Something else: what, for the message.
    NotYet(String),
}

impl<T> Seen<T> {
    /// Takes what is there, or notes what was seen in its place.
    pub fn or_not_yet(found: Option<T>, instead: impl FnOnce() -> String) -> Self {
        found.map_or_else(|| Self::NotYet(instead()), Self::There)
    }
}

/// Looks again and again until `look` finds what is waited for, and returns that. For what a watch or the end of a process can
/// tell there are better ways.
///
/// # Errors
/// If `look` fails, or finds nothing within `patience`: the message names `what`, and what was seen last.
pub async fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + patience;
    let (mut pause, mut last) = (FIRST, "nothing at all".to_owned());
    loop {
        let begun = Instant::now();
        match timeout_at(deadline, look()).await {
            Ok(Ok(Seen::There(found))) => return Ok(found),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => return Err(error).with_context(|| format!("waiting for {what}")),
            Err(_) => bail!("{what}: not after {patience:?}, with the last look still going on; before it: {last}"),
        }
        let long = pause.max(begun.elapsed());
        if Instant::now() + long > deadline {
            bail!("{what}: not after {patience:?}; last seen: {last}");
        }
        sleep(long).await;
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_true_is_returned_and_what_does_not_is_told_with_the_last_look() {
        let mut looks = 0;
        let found = wait_for("three", Duration::from_secs(5), async || {
            looks += 1;
            Ok(Seen::or_not_yet((looks == 3).then_some(looks), || looks.to_string()))
        });
        assert_eq!(found.await.expect("it comes true"), 3);
        let never =
            wait_for("a unicorn", Duration::from_secs(5), async || Ok(Seen::<()>::NotYet("a horse".to_owned())));
        let said = never.await.expect_err("it does not come true").to_string();
        assert!(said.contains("a unicorn") && said.contains("a horse"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_and_one_that_fails_end_the_wait() {
        let stuck = wait_for("an answer", Duration::from_secs(5), async || {
            std::future::pending::<()>().await;
            Ok(Seen::There(()))
        });
        let said = stuck.await.expect_err("it hangs").to_string();
        assert!(said.contains("an answer"), "{said}");
        let broken =
            wait_for("an answer", Duration::from_secs(5), async || bail!("no such thing") as anyhow::Result<Seen<()>>);
        assert!(format!("{:#}", broken.await.expect_err("it fails")).contains("no such thing"));
    }
}
