//! The whole watcher against an API server and a store in memory, with a clock that only moves when everybody waits.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, memory::InMemory, path::Path};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use vmrewind_archive::{
    Archive, ArchiveError, At, Cpu, ErrorKind, Recipients, SecretKey, SeqRange, Silent, Store, StoreKind,
};
use vmrewind_cluster::Cluster;
use vmrewind_model::{Change, GapCause, ObjectKey, ProofState, Record, Seq};
use vmrewind_testkit::{
    apiserver::{FakeApiServer, FakeType, Fault as ApiFault},
    store::{Call, Fault, FaultyStore, How},
};
use vmrewind_watcher::{
    driver::Watcher,
    error::WatcherError,
    maintaining::Maintainer,
    report::Report,
    settings::{Encryption, Secrets, Settings, Span},
};

struct Run {
    stop: CancellationToken,
    reports: watch::Receiver<Report>,
    task: JoinHandle<Result<(), WatcherError>>,
}

fn settings() -> Settings {
    let mut settings = Settings { archive: "memory".into(), ..Settings::default() };
    settings.timing.heartbeat = Span::seconds(10);
    settings
}

fn watcher(server: &FakeApiServer, store: &Store, settings: Settings) -> Watcher {
    let (clock, steady) = (server.clone(), server.clone());
    Watcher {
        cluster: Cluster::from_client(server.client()),
        store: store.clone(),
        settings,
        clock: Arc::new(move || clock.now()),
        steady: Arc::new(move || steady.now()),
        entropy: Arc::new(drawn),
        cpu: Cpu::Inline,
    }
}

/// Bytes that no other call gave, and never the nil UUID.
fn drawn() -> [u8; 16] {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x5a; 16];
    bytes[..8].copy_from_slice(&DRAWN.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    bytes
}

fn run(watcher: Watcher) -> Run {
    let stop = CancellationToken::new();
    let (sender, reports) = watch::channel(Report::default());
    let task = tokio::spawn(watcher.run(sender, stop.clone()));
    Run { stop, reports, task }
}

fn start_with(server: &FakeApiServer, store: &Store, settings: Settings) -> Run {
    run(watcher(server, store, settings))
}

fn start(server: &FakeApiServer, store: &Store) -> Run {
    start_with(server, store, settings())
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(300), what).await.expect("within five minutes of its time")
}

impl Run {
    async fn until(&mut self, test: impl FnMut(&Report) -> bool) -> Report {
        let waited = tokio::time::timeout(Duration::from_secs(300), self.reports.wait_for(test)).await;
        let report = waited.ok().and_then(Result::ok).map(|report| report.clone());
        match report {
            Some(report) => report,
            None if self.task.is_finished() => panic!("it ended: {:?}", (&mut self.task).await),
            None => panic!("{:?}", self.reports.borrow().reasons()),
        }
    }

    async fn ready(mut self) -> Self {
        self.until(|report| report.at.is_some() && report.reasons().is_empty()).await;
        self
    }

    /// Waits until a version of this kind is durable.
    async fn durable(&mut self, versions: u64, kind: &str) {
        self.until(|report| {
            report.status.counters.versions.get(kind) >= Some(&versions)
                && report.waiting == 0
                && report.commits.records > 0
        })
        .await;
    }

    async fn stop(self) {
        self.stop.cancel();
        in_time(self.task).await.expect("no panic").expect("a clean end");
    }

    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }
}

async fn records(store: &Store) -> Vec<Record> {
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    let all = SeqRange { first: Seq(1), last: Seq(u64::MAX) };
    archive.records(all).try_collect().await.expect("intact")
}

/// One line per record of an object: op, kind/name, and marks.
async fn lines(store: &Store, kind: &str) -> Vec<String> {
    let records = records(store).await;
    let of_kind = records.iter().filter(|record| record.change.key().is_some_and(|key| key.object.kind == kind));
    of_kind
        .map(|record| {
            let key = record.change.key().expect("of an object");
            let late = if record.lo.is_some() { " late" } else { "" };
            let inferred = if record.change.inferred() { " inferred" } else { "" };
            format!("{} {}{inferred}{late}", record.change.op().letter(), key.object.name)
        })
        .collect()
}

fn vm(name: &str, secret: &str, cores: u32) -> serde_json::Value {
    json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"namespace": "default", "name": name},
        "spec": {"template": {"spec": {"domain": {"cpu": {"cores": cores}}, "volumes": [
            {"name": "ci", "cloudInitNoCloud": {"secretRef": {"name": secret}}}]}}}})
}

fn secret(name: &str, value: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "default", "name": name}, "data": {"v": value}})
}

#[tokio::test(start_paused = true)]
async fn captures_a_machine_and_the_secret_it_names_and_goes_on_after_a_clean_stop() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&secret("ci", "b25l"));
    server.put(&secret("foreign", "b25l"));
    server.put(&vm("db", "ci", 1));
    let mut run = start(&server, &store).ready().await;
    server.put(&vm("db", "ci", 2));
    run.durable(2, "VirtualMachine").await;
    run.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["S db late", "M db"]);
    assert_eq!(lines(&store, "Secret").await, ["S ci"]);

    server.put(&vm("db", "ci", 3));
    server.remove("Secret", "default", "ci");
    let lists = server.requests().len();
    let run = start(&server, &store).ready().await;
    let since = server.requests().split_off(lists);
    let count = |what: &str| since.iter().filter(|request| *request == what).count();
    let (asked, watched) = (count("list virtualmachines"), count("watch virtualmachines"));
    assert!(watched > 0 && asked <= watched + 1, "one probe for each watch, no list: {since:?}");
    run.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["S db late", "M db", "M db late"]);
    assert_eq!(lines(&store, "Secret").await, ["S ci", "D ci late"]);
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    let state = archive.state_at(At::Latest, &|_| true, &Silent).await.expect("a state");
    let db = &state.objects[&ObjectKey::new("kubevirt.io", "VirtualMachine", "default", "db")];
    let object = db.record.change.object().expect("an object").value().expect("JSON");
    assert_eq!(object["spec"]["template"]["spec"]["domain"]["cpu"]["cores"], 3);
    assert!(state.proofs.iter().all(|proof| proof.current && proof.entry.state == ProofState::Live));
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_moment_it_records_every_version_once() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&secret("ci", "b25l"));
    let mut versions = Vec::new();
    for round in 0..8 {
        let mut run = start(&server, &store);
        if round % 2 == 0 {
            run = run.ready().await;
        }
        for turn in 0..5 {
            versions.push(server.put(&vm("db", "ci", round * 10 + turn)));
            tokio::time::sleep(Duration::from_millis(u64::from(round * 37 + turn * 90))).await;
        }
        if versions.len() == 5 {
            run.durable(5, "VirtualMachine").await;
        }
        run.kill().await;
    }
    start(&server, &store).ready().await.stop().await;
    let recorded: Vec<u64> = records(&store)
        .await
        .iter()
        .filter(|record| record.change.key().is_some_and(|key| key.object.kind == "VirtualMachine"))
        .filter_map(|record| record.change.rv().map(|rv| rv.0))
        .collect();
    assert_eq!(recorded, versions);
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_no_segment_can_hold_is_committed_in_parts() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    for n in 0..40 {
        let mut vm = vm(&format!("vm-{n:02}"), "ci", 1);
        vm["metadata"]["annotations"] = json!({"note": "x".repeat(4_000)});
        server.put(&vm);
    }
    let mut small = settings();
    small.limits.segment_raw.0 = 32 << 10;
    start_with(&server, &store, small.clone()).ready().await.kill().await;
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    let timeline = archive.timeline().await.expect("intact");
    let most = timeline.segments.iter().map(|segment| segment.records).max();
    assert!(most < Some(20), "{most:?} records in one segment");
    start_with(&server, &store, small).ready().await.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await.len(), 40, "each once");
}

#[tokio::test(start_paused = true)]
async fn of_two_watchers_of_one_archive_the_first_is_fenced_out_and_says_so() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    let first = start(&server, &store).ready().await;
    let second = start(&server, &store).ready().await;
    let error = in_time(first.task).await.expect("no panic").expect_err("fenced");
    assert_eq!(error.exit_code(), 11);
    assert!(error.to_string().contains("epoch 2"), "{error}");
    server.put(&vm("db", "ci", 1));
    second.stop().await;
    let records = records(&store).await;
    assert!(records.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq));
}

#[tokio::test(start_paused = true)]
async fn the_archive_of_another_cluster_is_refused_unless_it_is_adopted() {
    let store = Store::in_memory();
    start(&FakeApiServer::new(), &store).ready().await.stop().await;
    let other = FakeApiServer::new();
    other.remove("Namespace", "", "kube-system");
    other.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "other"}}));
    let error = in_time(start(&other, &store).task).await.expect("no panic").expect_err("refused");
    assert!(matches!(error, WatcherError::OtherCluster { .. }), "{error}");
    assert!(error.hint().expect("a hint").contains("--adopt"));
    start_with(&other, &store, Settings { adopt: true, ..settings() }).ready().await.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_ahead_of_the_servers_or_behind_it_at_the_start_writes_nothing_until_it_is_set() {
    for side in ["ahead of", "behind"] {
        writes_nothing_until_the_clock_is_set(side).await;
    }
}

async fn writes_nothing_until_the_clock_is_set(side: &str) {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    start(&server, &store).ready().await.stop().await;
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    let before = archive.head().await.expect("a head").segment;
    let apart = Arc::new(AtomicU64::new(7_200));
    let mut watcher = watcher(&server, &store, settings());
    let (clock, seconds, behind) = (server.clone(), apart.clone(), side == "behind");
    watcher.clock = Arc::new(move || {
        let apart = Duration::from_secs(seconds.load(Ordering::Relaxed));
        if behind { clock.now().minus(apart) } else { clock.now().plus(apart) }
    });
    let mut run = run(watcher);
    for _ in 0..120 {
        run.until(|report| report.status.clock.is_some()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let reasons = run.reports.borrow().reasons();
    assert!(
        reasons.iter().any(|reason| reason.starts_with("clock: ") && reason.contains(side) && reason.contains("NTP")),
        "{reasons:?}"
    );
    assert!(run.reports.borrow().at.is_some_and(|at| server.now().since(at) < Duration::from_secs(10)), "it is alive");
    assert_eq!(archive.head().await.expect("a head").segment, before, "no fence");
    apart.store(0, Ordering::Relaxed);
    server.put(&vm("db", "ci", 1));
    run.ready().await.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["A db late"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_tell_its_time_is_not_taken_for_one_that_agrees() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    let silent = Arc::new(AtomicBool::new(true));
    let tells = silent.clone();
    let service = server.clone().map_response(move |mut answer: http::Response<_>| {
        if tells.load(Ordering::Relaxed) {
            answer.headers_mut().remove(http::header::DATE);
        }
        answer
    });
    let mut watcher = watcher(&server, &store, settings());
    watcher.cluster = Cluster::from_client(kube::Client::new(service, "default"));
    let mut run = run(watcher);
    let report = run.until(|report| report.status.clock.is_some()).await;
    assert!(report.reasons().iter().any(|reason| reason.contains("Date header")), "{:?}", report.reasons());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(Archive::open(store.clone()).await.is_err(), "not even an archive was made");
    silent.store(false, Ordering::Relaxed);
    run.ready().await.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forth_and_back_stops_neither_time_nor_capture() {
    for jump in [45, 180] {
        let (server, store) = (FakeApiServer::new(), Store::in_memory());
        let ahead = Arc::new(AtomicU64::new(0));
        let mut watcher = watcher(&server, &store, settings());
        let (clock, seconds) = (server.clone(), ahead.clone());
        watcher.clock = Arc::new(move || clock.now().plus(Duration::from_secs(seconds.load(Ordering::Relaxed))));
        let mut run = run(watcher).ready().await;
        ahead.store(jump, Ordering::Relaxed);
        server.put(&vm("db", "ci", 1));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(run.reports.borrow().status.clock.is_some(), jump > 60, "more than a minute is not believed");
        ahead.store(0, Ordering::Relaxed);
        server.put(&vm("db", "ci", 2));
        let set = server.now();
        run.durable(2, "VirtualMachine").await;
        run = run.ready().await;
        assert!(server.now().since(set) < Duration::from_secs(20), "it does not stand still until {jump} s are over");
        run.stop().await;
        let records = records(&store).await;
        assert!(records.windows(2).all(|pair| pair[0].t < pair[1].t));
        let most = server.now().plus(Duration::from_secs(60));
        assert!(records.iter().all(|record| record.t <= most), "never more than a minute ahead");
        assert_eq!(lines(&store, "VirtualMachine").await.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_kind_is_named_with_its_verb_while_the_others_go_on() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.deny("list", "datavolumes");
    let mut run = start(&server, &store);
    let denied = |report: &Report| report.reasons().iter().any(|reason| reason.contains("denied"));
    let report = run.until(|report| denied(report) && report.reasons().len() == 1).await;
    assert_eq!(
        report.reasons(),
        ["datavolumes.cdi.kubevirt.io: denied: list datavolumes.cdi.kubevirt.io is forbidden (403)"]
    );
    server.put(&vm("db", "ci", 1));
    run.durable(1, "VirtualMachine").await;
    server.allow("list", "datavolumes");
    run.ready().await.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_server_earlier_versions_are_walked_back() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&vm("db", "ci", 1));
    start(&server, &store).ready().await.stop().await;
    server.put(&vm("db", "ci", 2));
    server.put(&vm("db", "ci", 3));
    server.restart();
    start(&server, &store).ready().await.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["S db late", "M db late", "M db late"]);
    let records = records(&store).await;
    let mut causes = records.iter().filter_map(|record| match &record.change {
        Change::Gap(gap) => Some(gap.cause),
        _ => None,
    });
    assert!(causes.all(|cause| cause == GapCause::Unseen), "only what came and went meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_was_compacted_as_well_is_a_gap() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&vm("db", "ci", 1));
    start(&server, &store).ready().await.stop().await;
    server.put(&vm("db", "ci", 2));
    server.put(&vm("db", "ci", 3));
    server.compact();
    server.restart();
    start(&server, &store).ready().await.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["S db late", "S db late"]);
    let records = records(&store).await;
    let gaps = records.iter().filter_map(|record| match &record.change {
        Change::Gap(gap) if gap.cause != GapCause::Unseen => Some((gap.resource.resource.as_str(), gap.cause)),
        _ => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [("virtualmachines", GapCause::Expired)]);
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_installed_later_is_captured_within_a_minute() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    let mut run = start(&server, &store).ready().await;
    server.add_type(FakeType::new(
        "pool.kubevirt.io",
        "v1beta1",
        "VirtualMachinePool",
        "virtualmachinepools",
        true,
        "vmpool",
    ));
    server.put(&json!({"apiVersion": "pool.kubevirt.io/v1beta1", "kind": "VirtualMachinePool",
        "metadata": {"namespace": "default", "name": "web"}}));
    let before = server.now();
    run.durable(1, "VirtualMachinePool").await;
    assert!(server.now().since(before) <= Duration::from_secs(60));
    server.remove_type("VirtualMachinePool");
    run.until(|report| report.status.resources.iter().any(|resource| resource.state == ProofState::Removed)).await;
    run.stop().await;
    assert_eq!(lines(&store, "VirtualMachinePool").await, ["S web late"], "no deletion is inferred");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_cannot_be_recorded_is_a_gap_of_that_object() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&vm("db", "ci", 1));
    let mut run = start(&server, &store).ready().await;
    let mut twice = vm("db", "ci", 2);
    twice["metadata"]["annotations"] = json!({"test.vmrewind.io/twice": "x"});
    server.put(&twice);
    run.until(|report| report.status.open_gaps == 1).await;
    server.put(&vm("db", "ci", 3));
    run.until(|report| report.status.open_gaps == 0).await;
    run.stop().await;
    assert_eq!(lines(&store, "VirtualMachine").await, ["S db late", "M db"]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_takes_nothing_it_is_named_and_afterwards_everything_is_there() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let store = Store::from_parts(Arc::new(faulty.clone()), StoreKind::Remote);
    let server = FakeApiServer::new();
    server.put(&vm("db", "ci", 0));
    let mut run = start(&server, &store).ready().await;
    for nth in 0..100 {
        faulty.fail(Fault::on(Call::Put, nth, How::Before));
    }
    let versions: Vec<u64> = (1..=5).map(|cores| server.put(&vm("db", "ci", cores))).collect();
    let report = run.until(|report| report.store_trouble.is_some()).await;
    assert!(report.reasons().iter().any(|reason| reason.starts_with("store: ")), "{:?}", report.reasons());
    let acknowledged = report.commits.records;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(run.reports.borrow().commits.records, acknowledged, "what is not stored is not acknowledged");
    faulty.heal();
    run.until(|report| report.store_trouble.is_none() && report.waiting == 0).await;
    run.ready().await.stop().await;
    let records = records(&store).await;
    let machines = records.iter().filter(|record| record.change.key().is_some_and(|key| key.object.name == "db"));
    let seen: Vec<u64> = machines.filter_map(|record| record.change.rv().map(|rv| rv.0)).collect();
    assert_eq!(seen[1..], versions);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_durable_when_the_linger_is_over_in_which_it_waits_for_its_order_as_well() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&secret("ci", "b25l"));
    server.put(&vm("db", "ci", 0));
    let mut run = start(&server, &store).ready().await;
    run.durable(1, "VirtualMachine").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.put(&vm("db", "ci", 1));
    tokio::time::sleep(settings().timing.linger.duration() + Duration::from_millis(10)).await;
    assert_eq!(lines(&store, "VirtualMachine").await.last().map(String::as_str), Some("M db"));
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_its_default_times_it_stays_proven_through_quiet_and_busy_minutes() {
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&secret("ci", "b25l"));
    server.put(&vm("db", "ci", 0));
    let mut run =
        start_with(&server, &store, Settings { archive: "memory".into(), ..Settings::default() }).ready().await;
    let mut versions = Vec::new();
    for minute in 0..12 {
        for second in 0..60 {
            // Three minutes busy, three minutes quiet.
            if minute % 6 < 3 {
                versions.push(server.put(&vm("db", "ci", minute * 60 + second)));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let report = run.reports.borrow().clone();
            assert!(report.reasons().is_empty(), "minute {minute}, second {second}: {:?}", report.reasons());
            let busy = minute % 6 < 3 && second > 20;
            for resource in &report.status.resources {
                let age = server.now().since(resource.proven_at.expect("proven"));
                let most = if busy { 15 } else { 65 };
                assert!(age <= Duration::from_secs(most), "{} was proven {age:?} ago, minute {minute}", resource.id);
            }
        }
    }
    run.durable(versions.len() as u64 + 1, "VirtualMachine").await;
    let renewals = run.reports.borrow().status.counters.renewals;
    run.stop().await;
    assert!(renewals > 20, "{renewals} renewals");
    let records = records(&store).await;
    let of_machines =
        records.iter().filter(|record| record.change.key().is_some_and(|key| key.object.kind == "VirtualMachine"));
    let seen: Vec<u64> = of_machines.clone().filter_map(|record| record.change.rv().map(|rv| rv.0)).collect();
    assert_eq!(seen[1..], versions, "every version once");
    assert!(of_machines.skip(1).all(|record| record.lo.is_none()), "nothing is late");
    assert!(records.iter().all(|record| !matches!(record.change, Change::Gap(_))), "and there is no gap");
    let silence = records.windows(2).map(|pair| pair[1].t.since(pair[0].t)).max();
    assert!(silence <= Some(Duration::from_secs(62)), "a heartbeat tells that it lives: {silence:?}");
}

/// Changes a bit in the middle of a segment.
async fn damage(objects: &Arc<InMemory>, slot: u64) {
    let path = Path::from(format!("log/0000/{slot:016x}"));
    let mut bytes = objects.get(&path).await.expect("there").bytes().await.expect("readable").to_vec();
    bytes[60] ^= 1;
    objects.put(&path, bytes.into()).await.expect("written");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_archive_is_refused_unless_it_is_to_be_passed_over_and_then_everything_is_listed_anew() {
    let objects = Arc::new(InMemory::new());
    let store = Store::from_parts(objects.clone(), StoreKind::Memory);
    let server = FakeApiServer::new();
    server.put(&secret("ci", "b25l"));
    server.put(&vm("db", "ci", 1));
    server.put(&vm("old", "ci", 1));
    start(&server, &store).ready().await.stop().await;
    // What is captured now is lost: a change, a deletion, and a new machine.
    let archive = || async { Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline) };
    let first = archive().await.head().await.expect("intact").segment + 2;
    let run = start(&server, &store).ready().await;
    server.put(&vm("db", "ci", 2));
    server.remove("VirtualMachine", "default", "old");
    server.put(&vm("new", "ci", 1));
    tokio::time::sleep(Duration::from_secs(5)).await;
    run.stop().await;
    let last = archive().await.head().await.expect("intact").segment;
    for slot in first..=last {
        damage(&objects, slot).await;
    }
    let error = in_time(start(&server, &store).task).await.expect("no panic").expect_err("refused");
    assert_eq!(error.exit_code(), 7);
    assert!(error.to_string().contains(&format!("{first:016x}")), "{error}");
    assert!(error.hint().expect("a hint").contains("--pass-over-damage"));
    assert_eq!(archive().await.head_behind_damage().await.expect("a head").segment, last, "nothing was written");

    start_with(&server, &store, Settings { pass_over_damage: true, ..settings() }).ready().await.stop().await;
    let state = archive().await.state_at(At::Latest, &|_| true, &Silent).await.expect("accounted for");
    let cores = |name: &str| {
        let entry = state.objects.get(&ObjectKey::new("kubevirt.io", "VirtualMachine", "default", name))?;
        let object = entry.record.change.object()?.value().ok()?;
        object["spec"]["template"]["spec"]["domain"]["cpu"]["cores"].as_u64()
    };
    assert_eq!((cores("db"), cores("new"), cores("old")), (Some(2), Some(1), None));
    assert!(
        state.gaps.is_empty()
            && state.proofs.iter().all(|proof| proof.covers(state.t) || proof.entry.state == ProofState::Live)
    );
    let gaps = archive().await.timeline().await.expect("readable").gaps;
    let damaged = gaps.iter().filter(|span| span.gap.cause == GapCause::Damage);
    assert_eq!(damaged.count(), state.proofs.len(), "one for every resource");
    // It is accounted for: no flag is needed, and nothing is listed again.
    start(&server, &store).ready().await.stop().await;
    assert_eq!(archive().await.timeline().await.expect("readable").gaps.len(), gaps.len());
}

fn age_key(n: u8) -> SecretKey {
    SecretKey::new([n; 32])
}

/// Settings for an archive that is encrypted to some keys, and opened by the first of them.
fn sealed_settings(folder: &std::path::Path, keys: &[u8]) -> Settings {
    let file = folder.join(format!("key-{}", keys[0]));
    std::fs::write(&file, age_key(keys[0]).reveal().as_bytes()).expect("written");
    let recipients = keys.iter().map(|n| age_key(*n).recipient().to_string()).collect();
    let encryption = Encryption { recipients, fingerprint: None, single_recipient: false, identities: vec![file] };
    Settings { encryption, ..settings() }
}

async fn ends_with(run: Run) -> WatcherError {
    in_time(run.task).await.expect("no panic").expect_err("refused")
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_archive_is_made_written_opened_again_and_rolled_up_like_a_plain_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    server.put(&vm("db", "ci", 1));
    start_with(&server, &store, sealed_settings(folder.path(), &[1, 2])).ready().await.stop().await;
    server.put(&vm("web", "ci", 1));
    // The other key opens it as well.
    start_with(&server, &store, sealed_settings(folder.path(), &[2, 1])).ready().await.kill().await;
    let maintainer = Maintainer {
        store: store.clone(),
        clock: Arc::new({
            let server = server.clone();
            move || server.now()
        }),
        entropy: Arc::new(|| [0x77; 16]),
        cpu: Cpu::Inline,
        encryption: sealed_settings(folder.path(), &[1, 2]).encryption,
    };
    assert!(maintainer.once().await.expect("maintained").damage.is_empty());
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    assert!(archive.identity().encrypted);
    assert_eq!(archive.head().await.expect_err("shut").kind(), ErrorKind::Locked);
    let archive = archive.unlock(vec![age_key(2)], [0; 32]).await.expect("opened");
    let state =
        archive.state_at(At::Latest, &|key| key.object.kind == "VirtualMachine", &Silent).await.expect("a state");
    assert_eq!(state.objects.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_not_encrypted_to_whom_the_watcher_was_told_is_not_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    let ours = sealed_settings(folder.path(), &[1, 2]);
    start_with(&server, &store, ours.clone()).ready().await.stop().await;
    let open = async || {
        let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
        archive.unlock(vec![age_key(1)], [0; 32]).await.expect("opened")
    };
    let before = open().await.head().await.expect("a head");
    for (settings, word) in [
        (sealed_settings(folder.path(), &[1, 2, 3]), "not encrypted to"),
        (sealed_settings(folder.path(), &[1, 3]), "is not configured"),
        (
            Settings { encryption: Encryption { recipients: vec![], ..ours.encryption.clone() }, ..settings() },
            "no recipients are configured",
        ),
    ] {
        let error = ends_with(start_with(&server, &store, settings)).await;
        assert!(error.to_string().contains(word) && error.exit_code() == 1, "{error}");
    }
    let stranger = ends_with(start_with(&server, &store, sealed_settings(folder.path(), &[3, 4]))).await;
    assert_eq!(stranger.exit_code(), 12, "{stranger}");
    // Somebody adds himself: whoever has a reader's key can.
    let more = Recipients::new([1, 2, 9].map(|n| age_key(n).recipient()).to_vec(), false).expect("three");
    open().await.encrypt_to(&more, server.now(), "test 1").await.expect("added");
    let error = ends_with(start_with(&server, &store, ours.clone())).await;
    assert!(error.to_string().contains(&age_key(9).recipient().to_string()), "{error}");
    assert_eq!(open().await.head().await.expect("a head"), before, "nothing was written");
    // The store is replaced by one that is not encrypted.
    let plain = Store::in_memory();
    start(&server, &plain).ready().await.stop().await;
    let error = ends_with(start_with(&server, &plain, ours)).await;
    assert!(error.to_string().contains("not encrypted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_could_not_read_what_it_writes_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, store) = (FakeApiServer::new(), Store::in_memory());
    let ours = sealed_settings(folder.path(), &[1, 2]);
    let to_others = |settings: Settings| {
        let recipients = [2, 3].map(|n| age_key(n).recipient().to_string()).to_vec();
        Settings { encryption: Encryption { recipients, ..settings.encryption.clone() }, ..settings }
    };
    // Neither makes it an archive,
    let error = ends_with(start_with(&server, &store, to_others(ours.clone()))).await;
    assert_eq!(error.exit_code(), 12, "{error}");
    assert!(matches!(Archive::open(store.clone()).await, Err(ArchiveError::NoArchive { .. })));
    // nor goes it on with one that an earlier file of keys opens.
    start_with(&server, &store, ours.clone()).ready().await.stop().await;
    let before = unlocked(&store, 1).await;
    let others = Recipients::new([2, 3].map(|n| age_key(n).recipient()).to_vec(), false).expect("two");
    before.encrypt_to(&others, server.now(), "test 1").await.expect("rotated");
    let head = before.head().await.expect("a head");
    let settings = to_others(ours);
    let error = ends_with(start_with(&server, &store, settings.clone())).await;
    assert_eq!(error.exit_code(), 12, "{error}");
    let clock = server.clone();
    let (clock, entropy) = (Arc::new(move || clock.now()), Arc::new(|| [0x77; 16]));
    let encryption = settings.encryption;
    let error = Maintainer { store: store.clone(), clock, entropy, cpu: Cpu::Inline, encryption }.once().await;
    assert_eq!(error.expect_err("neither does the maintainer").exit_code(), 12);
    assert_eq!(unlocked(&store, 1).await.head().await.expect("a head"), head, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn secrets_for_encrypted_archives_only_are_withheld_from_a_plain_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for (sealed, withheld) in [(false, true), (true, false)] {
        let (server, store) = (FakeApiServer::new(), Store::in_memory());
        server.put(&secret("ci", "Y29uZmlkZW50aWFs"));
        server.put(&vm("db", "ci", 1));
        let mut settings = if sealed { sealed_settings(folder.path(), &[1, 2]) } else { settings() };
        settings.capture.secrets = Some(Secrets::EncryptOnly);
        start_with(&server, &store, settings).ready().await.stop().await;
        let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
        let archive = archive.unlock(vec![age_key(1)], [0; 32]).await.expect("opened");
        let records: Vec<Record> = archive.records(SeqRange::ALL).try_collect().await.expect("intact");
        let of_secret = |record: &&Record| record.change.key().is_some_and(|key| key.object.kind == "Secret");
        let secrets: Vec<&Record> = records.iter().filter(of_secret).collect();
        assert!(!secrets.is_empty(), "the machine names it");
        let held = secrets.iter().all(|record| matches!(record.change, Change::Withheld { .. }));
        assert_eq!(held, withheld, "{secrets:?}");
        let object = secrets.iter().any(|record| record.change.object().is_some());
        assert_eq!(object, !withheld);
    }
}

/// Names and bytes of everything in a store.
async fn everything(objects: &Arc<InMemory>) -> Vec<(String, Vec<u8>)> {
    let listed: Vec<_> = object_store::ObjectStore::list(&**objects, None).try_collect().await.expect("listed");
    let mut all = Vec::new();
    for meta in listed {
        let bytes = objects.get(&meta.location).await.expect("there").bytes().await.expect("readable");
        all.push((meta.location.to_string(), bytes.to_vec()));
    }
    all
}

async fn unlocked(store: &Store, key: u8) -> Archive {
    let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
    archive.unlock(vec![age_key(key)], [0; 32]).await.expect("opened")
}

/// What makes an archive of somebody who can write to the store and knows what everybody can see.
async fn taken_over(objects: &Arc<InMemory>, cluster: &str) {
    for (name, _) in everything(objects).await {
        if name != "archive.json" {
            objects.delete(&Path::from(name)).await.expect("deleted");
        }
    }
    let recipients = Recipients::new([1, 2].map(|n| age_key(n).recipient()).to_vec(), false).expect("two");
    let new = vmrewind_archive::NewArchive {
        archive: uuid::Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdee),
        cluster: cluster.to_owned(),
        created: "2026-01-01T00:00:00Z".parse().expect("a time"),
        software: "test 1".to_owned(),
        keys: Some(vmrewind_archive::NewKeys { recipients, root_key: [0x66; 32], seed: [5; 32] }),
    };
    let store = Store::from_parts(objects.clone(), StoreKind::Memory);
    vmrewind_archive::init(&store, new).await.expect("finished");
}

#[tokio::test(start_paused = true)]
async fn an_archive_of_another_root_key_is_not_written_to_although_uuid_and_recipients_are_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = Arc::new(InMemory::new());
    let (server, store) = (FakeApiServer::new(), Store::from_parts(objects.clone(), StoreKind::Memory));
    let any = sealed_settings(folder.path(), &[1, 2]);
    start_with(&server, &store, any.clone()).ready().await.stop().await;
    let archive = unlocked(&store, 1).await;
    let ours = archive.fingerprint().expect("open").to_string();
    let pinned =
        Settings { encryption: Encryption { fingerprint: Some(ours.clone()), ..any.encryption.clone() }, ..settings() };
    start_with(&server, &store, pinned.clone()).ready().await.stop().await;
    taken_over(&objects, &archive.identity().cluster).await;
    let before = everything(&objects).await;
    let theirs = unlocked(&store, 1).await.fingerprint().expect("open").to_string();
    let error = ends_with(start_with(&server, &store, pinned.clone())).await;
    assert!(error.exit_code() == 12 && error.hint().expect("a hint").contains("--fingerprint"), "{error}");
    assert!(error.to_string().contains(&ours) && error.to_string().contains(&theirs), "{error}");
    let maintainer = Maintainer {
        store: store.clone(),
        clock: Arc::new({
            let server = server.clone();
            move || server.now()
        }),
        entropy: Arc::new(|| [0x77; 16]),
        cpu: Cpu::Inline,
        encryption: pinned.encryption.clone(),
    };
    assert_eq!(maintainer.once().await.expect_err("refused").exit_code(), 12);
    assert_eq!(everything(&objects).await, before, "nothing was written");
    // The recipients alone do not tell: this is what the fingerprint is for.
    start_with(&server, &store, any).ready().await.stop().await;
    // Nor is a new archive made, which would have another key.
    let empty = Arc::new(InMemory::new());
    let store = Store::from_parts(empty.clone(), StoreKind::Memory);
    assert_eq!(ends_with(start_with(&server, &store, pinned)).await.exit_code(), 12);
    assert!(everything(&empty).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_lost_its_keys_gets_no_new_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = Arc::new(InMemory::new());
    let (server, store) = (FakeApiServer::new(), Store::from_parts(objects.clone(), StoreKind::Memory));
    let settings = sealed_settings(folder.path(), &[1, 2]);
    start_with(&server, &store, settings.clone()).ready().await.stop().await;
    let name = Path::from("keys/0000000000000001.json");
    let keys = objects.get(&name).await.expect("there").bytes().await.expect("readable");
    objects.delete(&name).await.expect("deleted");
    let before = everything(&objects).await;
    let error = ends_with(start_with(&server, &store, settings.clone())).await;
    assert!(error.exit_code() == 7 && error.to_string().contains("keys/0000000000000001.json"), "{error}");
    assert!(error.hint().expect("a hint").contains("from a copy"), "{:?}", error.hint());
    assert_eq!(everything(&objects).await, before, "nothing was written");
    objects.put(&name, keys.into()).await.expect("put back");
    start_with(&server, &store, settings).ready().await.stop().await;
}

/// A machine and the Secret that it names, which may not be read: its name and its namespace are in what the server says.
async fn refused(fault: Option<ApiFault>, settings: Settings, store: &Store) {
    let server = FakeApiServer::new();
    match fault {
        None => server.deny("get", "secrets"),
        Some(fault) => server.fail("get", "secrets", fault, 10_000),
    }
    let mut machine = vm("machine-4711", "secret-0815", 1);
    machine["metadata"]["namespace"] = "namespace-2342".into();
    server.put(&machine);
    for _ in 0..4 {
        let run = start_with(&server, store, settings.clone());
        tokio::time::sleep(Duration::from_secs(90)).await;
        run.stop().await;
        tokio::time::sleep(Duration::from_secs(40 * 24 * 3600)).await;
    }
    let maintainer = Maintainer {
        store: store.clone(),
        clock: Arc::new(move || server.now()),
        entropy: Arc::new(|| [0x77; 16]),
        cpu: Cpu::Inline,
        encryption: settings.encryption,
    };
    assert!(maintainer.once().await.expect("maintained").windows > 0);
}

#[tokio::test(start_paused = true)]
async fn no_object_of_an_encrypted_archive_tells_the_name_of_a_secret_that_may_not_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = ["namespace-2342", "secret-0815", "machine-4711"];
    for (fault, shown) in [(None, 1), (Some(ApiFault::Status(401)), 2)] {
        let mut found = Vec::new();
        for sealed in [true, false] {
            let objects = Arc::new(InMemory::new());
            let store = Store::from_parts(objects.clone(), StoreKind::Memory);
            let settings = if sealed { sealed_settings(folder.path(), &[1, 2]) } else { settings() };
            refused(fault.clone(), settings, &store).await;
            let all = everything(&objects).await;
            let kinds = ["archive.json", "log/", "man/", "hist/", if sealed { "keys/" } else { "log/" }];
            assert!(kinds.iter().all(|kind| all.iter().any(|(name, _)| name.starts_with(kind))), "{kinds:?}");
            let holds = |text: &str| {
                all.iter()
                    .filter(|(_, bytes)| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
                    .count()
            };
            found.push(texts.map(holds));
            let archive = Archive::open(store.clone()).await.expect("an archive").with_cpu(Cpu::Inline);
            let archive = archive.unlock(vec![age_key(1)], [0; 32]).await.expect("opened");
            let records: Vec<Record> = archive.records(SeqRange::ALL).try_collect().await.expect("intact");
            let told = records
                .iter()
                .any(|record| matches!(&record.change, Change::Gap(gap) if gap.detail.contains(texts[0])));
            assert!(told, "the reason stands in the gap: {records:?}");
        }
        assert_eq!(found[0], [0; 3], "{fault:?}");
        // In a plain archive resume maps are not compressed: so the search finds what is there.
        assert!(found[1][..shown].iter().all(|count| *count > 0), "{found:?}");
    }
}
