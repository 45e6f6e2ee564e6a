//! An archive whose disk is full, or that cannot be written at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::json;
use vmrewind_testkit::bench::{Bench, BenchOptions, run};
use vmrewind_tests::{Site, Watcher, WatcherOptions, agree_with_python_reader};

use super::{label, quiet_machine, recorded};

/// A file system of two megabytes, which is taken away at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where mounting is not permitted.
    fn mount(at: &Path) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output()?;
        Ok(output.status.success().then(|| Self(at.to_owned())))
    }

    /// Leaves no byte free. A reader ignores files with such a name.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        let path = self.0.join("filler#1");
        let mut file = std::fs::File::create(&path)?;
        let page = [0; 4096];
        for _ in 0..1024 {
            if file.write_all(&page).is_err() {
                return Ok(path);
            }
        }
        anyhow::bail!("it is larger than it should be")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        let gone = unmounted.is_ok_and(|status| status.success());
        assert!(gone || std::thread::panicking(), "{} is still mounted", self.0.display());
    }
}

#[test]
fn a_full_disk_ends_the_watcher_with_a_hint_and_what_happened_meanwhile_is_recorded_when_there_is_room() {
    run(async {
        let bench = Bench::start(BenchOptions::default()).await?;
        bench.namespace("prod").await?;
        quiet_machine(&bench, "prod", "db").await?;
        let site = Site::new(&bench)?;
        let Some(disk) = SmallDisk::mount(&site.archive())? else {
            eprintln!("mounting is not permitted here: only the store in memory was full today");
            return Ok(());
        };
        let watcher = site.watcher()?.ready().await?;
        let before = label(&bench, "prod", "db", "before").await?;
        recorded(&site, "prod", "db", &before).await?;
        let filler = disk.fill()?;
        let during = label(&bench, "prod", "db", "during").await?;
        let (code, said) = watcher.ended().await?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("No space left on device") && said.contains("Hint: "), "{said}");
        let (_, acknowledged) = recorded(&site, "prod", "db", &before).await?;

        // As long as there is no room, a new one says the same.
        let (code, said) = site.watcher()?.ended().await?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("No space left on device") && said.contains("Hint: "), "{said}");

        std::fs::remove_file(filler)?;
        let watcher = site.watcher()?.ready().await?;
        let (_, history) = recorded(&site, "prod", "db", &during).await?;
        watcher.stop().await?;
        let kept = acknowledged.lines.iter().zip(&history.lines);
        for (then, now) in kept {
            assert_eq!((then.seq, &then.t, then.rv()), (now.seq, &now.t, now.rv()), "nothing acknowledged is lost");
        }
        assert_eq!(history.gaps().count(), 0, "{:?}", history.gaps().next());
        agree_with_python_reader(&site.tool, &site.archive()).await
    });
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_a_hint_before_anything_is_captured() {
    run(async {
        let bench = Bench::start(BenchOptions::default()).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("a-file");
        std::fs::write(&file, json!({}).to_string())?;
        // A directory cannot be made there; its parent is not there, and that is what is named.
        let (within, missing) = (file.join("archive"), folder.path().join("missing"));
        for (place, named, expected) in [(&within, &within, 1), (&missing.join("archive"), &missing, 10)] {
            let (kubeconfig, log) = (bench.plane.kubeconfig(), folder.path().join("log"));
            let watcher = Watcher::start(&kubeconfig, place, &log, &WatcherOptions::default())?;
            let (code, said) = watcher.ended().await?;
            assert_eq!(code, Some(expected), "{said}");
            let error = said.lines().rfind(|line| line.starts_with("Error: ")).context(said.clone())?;
            ensure!(error.contains(&named.display().to_string()), "it names the place: {error}");
            ensure!(said.contains("Hint: "), "and says what to do: {said}");
        }
        Ok(())
    });
}
