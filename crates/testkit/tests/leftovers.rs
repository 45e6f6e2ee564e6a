//! Nothing is left behind by a test, however it ends.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use vmrewind_testkit::bench::PATIENCE;
use vmrewind_testkit::controlplane::{Component, ControlPlane, Lifetime, Options, Process};
use vmrewind_testkit::scratch;
use vmrewind_testkit::wait::{Seen, wait_for};

/// Environment variable: the test is run as the owner that is about to come to a bad end, and says here what it has.
const OWNER: &str = "VMREWIND_TEST_OWNER";
const COMPONENTS: [Component; 3] = [Component::Etcd, Component::ApiServer, Component::ControllerManager];

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

async fn ended(pids: &[u32]) -> anyhow::Result<()> {
    wait_for("the end of the control plane", PATIENCE, async || {
        let left: Vec<u32> = pids.iter().copied().filter(|pid| runs(*pid)).collect();
        Ok(Seen::or_not_yet(left.is_empty().then_some(()), || format!("{left:?}")))
    })
    .await
}

/// Starts a control plane and tells of it in a file.
async fn own(file: &Path) -> anyhow::Result<ControlPlane> {
    let plane = ControlPlane::start(Options::default()).await?;
    let mut told = vec![plane.directory().display().to_string()];
    told.extend(COMPONENTS.iter().filter_map(|component| plane.pid(*component)).map(|pid| pid.to_string()));
    let draft = file.with_extension("draft");
    std::fs::write(&draft, told.join("\n"))?;
    std::fs::rename(&draft, file)?;
    Ok(plane)
}

/// Runs one of the tests below as an owner, and returns it with the directory and the programs it has.
async fn owner(test: &str, folder: &Path) -> anyhow::Result<(Process, PathBuf, Vec<u32>)> {
    let file = folder.join(test);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", test, "--nocapture"]).env(OWNER, &file);
    let owner = Process::start("owner", command, &folder.join(format!("{test}.log")), Lifetime::WithOwner)?;
    let told = wait_for("the control plane of the owner", PATIENCE, async || {
        Ok(Seen::or_not_yet(std::fs::read_to_string(&file).ok(), || owner.tail()))
    })
    .await?;
    let mut lines = told.lines();
    let directory = PathBuf::from(lines.next().context("a directory")?);
    let pids = lines.map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    assert_eq!(pids.len(), COMPONENTS.len());
    assert!(directory.exists());
    Ok((owner, directory, pids))
}

#[tokio::test]
async fn a_control_plane_ends_when_its_owner_is_killed_and_the_next_owner_removes_its_directory() -> anyhow::Result<()>
{
    if let Some(file) = std::env::var_os(OWNER) {
        let _plane = own(Path::new(&file)).await?;
        return std::future::pending().await;
    }
    let folder = tempfile::tempdir()?;
    let name = "a_control_plane_ends_when_its_owner_is_killed_and_the_next_owner_removes_its_directory";
    let (owner, directory, pids) = owner(name, folder.path()).await?;
    assert!(pids.iter().all(|pid| runs(*pid)));
    owner.kill_9()?;
    ended(&pids).await?;
    assert!(directory.exists(), "nobody was left to remove it");
    let own = scratch::directory("leftovers")?;
    assert!(!directory.exists(), "and now somebody did");
    assert!(own.path().exists());
    Ok(())
}

#[tokio::test]
async fn a_control_plane_ends_and_its_directory_goes_when_its_owner_panics() -> anyhow::Result<()> {
    if let Some(file) = std::env::var_os(OWNER) {
        let _plane = own(Path::new(&file)).await?;
        panic!("as a test does that fails");
    }
    let folder = tempfile::tempdir()?;
    let name = "a_control_plane_ends_and_its_directory_goes_when_its_owner_panics";
    let (_owner, directory, pids) = owner(name, folder.path()).await?;
    ended(&pids).await?;
    wait_for("the end of the directory", PATIENCE, async || {
        Ok(Seen::or_not_yet((!directory.exists()).then_some(()), || directory.display().to_string()))
    })
    .await
}

#[test]
fn a_program_that_outlived_its_owner_is_found_by_where_it_works_and_killed() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    // Nobody has this id and this start.
    let left = root.path().join(format!("vmrewind-site-{}.1-left", std::process::id()));
    let others = [root.path().join("vmrewind-kept-controlplane-other"), root.path().join("other-1.1-a")];
    for directory in others.iter().chain([&left]) {
        std::fs::create_dir(directory)?;
    }
    let start = |directory: &Path| {
        let mut sleep = Command::new("sleep");
        sleep.arg("600").current_dir(directory);
        Process::start("sleep", sleep, &directory.join("log"), Lifetime::WithOwner)
    };
    let (mut lost, mut other) = (start(&left)?, start(&others[0])?);
    assert_eq!(scratch::sweep(root.path())?, std::slice::from_ref(&left));
    assert!(!left.exists());
    assert!(lost.ended()?.is_some(), "it was killed");
    assert!(others.iter().all(|directory| directory.exists()) && other.ended()?.is_none(), "others are left alone");
    assert!(scratch::sweep(root.path())?.is_empty());
    Ok(())
}
