//! What one manifest adds to the one before it.
//!
//! Does not: write the manifest.

use vmrewind_model::Timestamp;

use super::{
    Door, HIGHEST, Maintained, Rules, Standing,
    broken::{self, Broken},
    checkpoint, merge, plan, roll,
};
use crate::{Archive, ArchiveError, Code, format::fault::Fault, manifest::Rolled, read, window};

/// With more checkpoints, those are left out that lie closest to their neighbours.
const MOST_CHECKPOINTS: usize = 512;

/// Bytes that checkpoints may take in a manifest, about.
const CHECKPOINTS_TEXT: usize = 4 << 20;

/// What one manifest adds to the one before it.
pub(super) struct Round<'a> {
    pub(super) archive: &'a Archive,
    pub(super) rules: &'a Rules,
    pub(super) door: &'a Door<'a>,
    /// The newest slot.
    pub(super) newest: u64,
}

impl Round<'_> {
    /// Returns the windows and checkpoints with those that are due next; none if none are.
    pub(super) async fn next(
        &self,
        mut standing: Standing,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<Option<Standing>, ArchiveError> {
        let Some(end) = last_instant(self.archive, self.newest).await? else { return Ok(None) };
        // Longer windows come first: what makes the manifest longer has to wait until they have made it shorter.
        loop {
            match self.merge(&mut standing.windows, end, broken, done).await? {
                Merged::Some => return Ok(Some(standing)),
                Merged::None => break,
                Merged::Broken => {}
            }
        }
        let room = standing.windows.len() < self.rules.most_windows;
        if room && self.roll(&mut standing, end, broken, done).await? {
            return Ok(Some(standing));
        }
        if self.checkpoint(&mut standing, broken, done).await? {
            return Ok(Some(standing));
        }
        while let Some(n) = broken.next(&standing.windows) {
            if let Some(made) = self.remake(&standing.windows, n, end, broken).await? {
                made.iter().for_each(|rolled| count(done, rolled));
                done.remade += 1;
                standing.windows.splice(n..=n, made);
                return Ok(Some(standing));
            }
        }
        Ok(None)
    }

    /// Makes the checkpoint that is due next, or leaves one out that is damaged; false if there is nothing to do.
    async fn checkpoint(
        &self,
        standing: &mut Standing,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<bool, ArchiveError> {
        let Standing { windows, checkpoints } = standing;
        for end in plan::checkpoints(windows, checkpoints, (self.rules.checkpoint_level, self.rules.least_history)) {
            if broken.gave_up_checkpoint(windows[end].window.slots[1]) {
                continue;
            }
            let job = checkpoint::Job { windows, end, checkpoints };
            match checkpoint::make(self.archive, self.rules, self.door, &job).await {
                Ok(Some(made)) => {
                    done.checkpoints += 1;
                    done.bytes += made.parts.iter().map(|part| part.size).sum::<u64>();
                    // One of the same slot that was made with slots that were passed over since.
                    checkpoints.retain(|other| other.window.slots[1] != made.window.slots[1]);
                    let at = checkpoints.partition_point(|other| other.window.slots[1] < made.window.slots[1]);
                    checkpoints.insert(at, made);
                    plan::thin(checkpoints, MOST_CHECKPOINTS, CHECKPOINTS_TEXT);
                    return Ok(true);
                }
                Ok(None) => {}
                Err(ArchiveError::Damaged(damage)) => {
                    if let Some(n) = checkpoints.iter().position(|own| broken::names(own, &damage)) {
                        tracing::warn!(%damage, "a checkpoint is damaged; it is left out, and made anew");
                        broken.add_checkpoint(checkpoints.remove(n).window.slots[1]);
                        return Ok(true);
                    }
                    let Some(old) = windows.iter().find(|rolled| broken::names(rolled, &damage)) else {
                        return Err(damage.into());
                    };
                    broken.add(old, *damage);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Rolls up segments that are due and lie in no window; false if there are none.
    async fn roll(
        &self,
        standing: &mut Standing,
        end: Timestamp,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<bool, ArchiveError> {
        let Standing { windows, checkpoints } = standing;
        done.damage.clear();
        let mut made = Vec::new();
        for (before, slots) in plan::uncovered(windows, self.newest) {
            let earlier = before.map_or(&windows[..0], |n| &windows[..=n]);
            let start = broken::start(self.archive, earlier, broken).await?;
            let behind = windows.iter().find(|rolled| rolled.window.slots[0] == slots.end);
            let job = roll::Job { slots: slots.clone(), behind: behind.map(|rolled| rolled.window.prev), newest: end };
            let run = roll::run(self.archive, self.rules, self.door, job, start).await?;
            done.damage.extend(run.damage);
            if !run.windows.is_empty() {
                // What is behind it was made without it.
                let later = windows.iter_mut().filter(|rolled| rolled.window.slots[0] >= slots.end);
                later.for_each(|rolled| rolled.stale = true);
                checkpoints.retain(|rolled| rolled.window.slots[1] < slots.start);
            }
            made.extend(run.windows);
            if run.more {
                break;
            }
        }
        for rolled in &made {
            done.segments += rolled.window.slots[1] + 1 - rolled.window.slots[0];
            count(done, rolled);
        }
        let any = !made.is_empty();
        windows.extend(made);
        windows.sort_by_key(|rolled| rolled.window.slots);
        Ok(any)
    }

    /// Makes windows anew from their segments that lie in the slots of window `n`; none if these are damaged as well.
    async fn remake(
        &self,
        windows: &[Rolled],
        n: usize,
        end: Timestamp,
        broken: &mut Broken,
    ) -> Result<Option<Vec<Rolled>>, ArchiveError> {
        let old = &windows[n];
        let [first, last] = old.window.slots;
        if let Some(damage) = broken::unreadable(self.archive, old).await? {
            broken.give_up(old, damage);
            return Ok(None);
        }
        let start = broken::start(self.archive, &windows[..n], broken).await?;
        let behind = windows.get(n + 1).filter(|next| next.window.slots[0] == last + 1);
        let behind = behind.map(|next| next.window.prev);
        let rules = Rules { windows_at_once: usize::MAX, ..self.rules.clone() };
        let job = roll::Job { slots: first..last + 1, behind, newest: end };
        let run = roll::run(self.archive, &rules, self.door, job, start).await?;
        let all = run.windows.iter().map(|rolled| rolled.window.slots[1] + 1 - rolled.window.slots[0]).sum::<u64>();
        if all != last + 1 - first {
            let fault = Fault::new(Code::Chain, "its segments do not make the same window again");
            broken.give_up(old, window::damaged(&old.parts[0], fault));
            return Ok(None);
        }
        broken.remade(old);
        Ok(Some(run.windows))
    }

    /// Makes windows to longer ones.
    async fn merge(
        &self,
        windows: &mut Vec<Rolled>,
        end: Timestamp,
        broken: &mut Broken,
        done: &mut Maintained,
    ) -> Result<Merged, ArchiveError> {
        let mut merged = 0;
        let mut fresh: Vec<[u64; 2]> = Vec::new();
        while let Some(plan::Merge { windows: range, level }) =
            plan::merge(windows, end, HIGHEST, self.rules.most_records, &|rolled| broken.bars(rolled))
        {
            // What was just made is named by a manifest before something else replaces it: else its bundles would be strays.
            if windows[range.clone()].iter().any(|rolled| fresh.contains(&rolled.window.slots)) {
                break;
            }
            let longer = match merge::merge(self.archive, self.rules, self.door, &windows[range.clone()], level).await {
                Ok(longer) => longer,
                Err(ArchiveError::Damaged(damage)) => {
                    let names = |rolled: &&Rolled| broken::names(rolled, &damage);
                    let Some(old) = windows[range].iter().find(names) else { return Err(damage.into()) };
                    broken.add(old, *damage);
                    if merged > 0 {
                        break;
                    }
                    return Ok(Merged::Broken);
                }
                Err(error) => return Err(error),
            };
            count(done, &longer);
            fresh.push(longer.window.slots);
            windows.splice(range, [longer]);
            merged += 1;
            if merged == self.rules.windows_at_once {
                break;
            }
        }
        Ok(if merged > 0 { Merged::Some } else { Merged::None })
    }
}

/// What came of merging.
enum Merged {
    Some,
    None,
    /// A bundle that was needed is damaged.
    Broken,
}

fn count(done: &mut Maintained, rolled: &Rolled) {
    done.windows += 1;
    done.bytes += rolled.parts.iter().map(|part| part.size).sum::<u64>();
}

/// The watermark of the newest segment whose end can be read.
async fn last_instant(archive: &Archive, newest: u64) -> Result<Option<Timestamp>, ArchiveError> {
    for slot in (1..=newest).rev() {
        match read::end(archive, slot).await {
            Ok((summary, _)) => return Ok(Some(summary.t_last)),
            Err(ArchiveError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
