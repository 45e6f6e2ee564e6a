//! Archives in which a segment is damaged: what lies before it reads as if nothing had happened, what lies after it only
//! if that is asked for, and capture goes on behind it.

use std::{fs, ops::Range, path::PathBuf};

use futures::TryStreamExt as _;
use tempfile::TempDir;
use vmrewind_archive::{
    Archive, ArchiveError, At, Code, Damage, FenceOutcome, Head, SeqRange, Silent, State, Store, Told, Writer,
    damage_detail,
};
use vmrewind_model::{Change, Epoch, Gap, GapCause, Record, ResourceId, Seq, Timestamp};

use crate::world::{Clock, commit, input, make, open, own, read_all, record, t, take_over};

/// An archive in a directory: a fence in slot 1, then five segments of four records each.
struct Place {
    _dir: TempDir,
    root: PathBuf,
    store: Store,
    clock: Clock,
    records: Vec<Record>,
}

/// The segment that is damaged, and its records.
const VICTIM: u64 = 4;
const LOST: Range<u64> = 9..13;

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("archive");
        let store = Store::open_or_make(&root.display().to_string().parse().expect("a path")).expect("made");
        make(&store).await.expect("made");
        let clock = Clock::default();
        let mut writer = own(&store, 1, &clock).await.expect("owned");
        for _ in 0..5 {
            commit(&mut writer, 4, &clock).await.expect("committed");
        }
        let records = read_all(&store).await.expect("intact");
        Self { _dir: dir, root, store, clock, records }
    }

    fn file(&self, slot: u64) -> PathBuf {
        self.root.join(format!("log/0000/{slot:016x}"))
    }

    fn bytes(&self, slot: u64) -> Vec<u8> {
        fs::read(self.file(slot)).expect("there")
    }

    fn put(&self, slot: u64, bytes: &[u8]) {
        fs::write(self.file(slot), bytes).expect("written");
    }

    async fn archive(&self) -> Archive {
        open(&self.store).await.expect("opened")
    }

    async fn state(&self, at: At) -> Result<State, ArchiveError> {
        self.archive().await.state_at(at, &|_| true, &Silent).await
    }

    async fn passing(&self, at: At) -> State {
        let archive = self.archive().await.passing_over_damage();
        archive.state_at(at, &|_| true, &Silent).await.expect("an answer all the same")
    }

    /// What the tool's `log` sees: seqs of records, and damaged slots in their places.
    async fn told(&self) -> Vec<Result<u64, u64>> {
        let archive = self.archive().await;
        let told: Vec<Told> = archive.told(&|_| true, SeqRange::ALL).try_collect().await.expect("it goes on");
        let one = |told: &Told| match told {
            Told::Record(record) => Ok(record.seq.0),
            Told::Damage(damage) => Err(damage.segment.expect("a segment")),
        };
        told.iter().map(one).collect()
    }
}

fn damage(error: ArchiveError) -> Damage {
    match error {
        ArchiveError::Damaged(damage) => *damage,
        error => panic!("{error}"),
    }
}

/// The regions of a segment, by name.
fn regions(bytes: &[u8]) -> [(&'static str, Range<usize>); 4] {
    let footer = bytes.len() - 384;
    let number = |at: usize| {
        let field = bytes[footer + at..footer + at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(field)).expect("small")
    };
    let (index, body) = (number(128), number(144));
    [
        ("meta and data", 0..index),
        ("index", index..body),
        ("public frame", body..footer),
        ("footer", footer..bytes.len()),
    ]
}

fn objects(state: &State) -> Vec<&Record> {
    state.objects.values().map(|entry| &entry.record).collect()
}

#[tokio::test]
async fn wherever_a_bit_flips_states_before_it_are_the_same_and_those_after_it_are_refused_by_name() {
    let place = Place::new().await;
    let good = place.bytes(VICTIM);
    let mut before = Vec::new();
    for seq in 1..LOST.start {
        before.push((At::Seq(Seq(seq)), place.state(At::Seq(Seq(seq))).await.expect("intact")));
        before.push((At::Time(t(10 * seq.cast_signed() + 5)), place.state(At::Seq(Seq(seq))).await.expect("intact")));
    }
    for (region, range) in regions(&good) {
        for at in range.clone().step_by((range.len() / 12).max(1)).chain([range.end - 1]) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            place.put(VICTIM, &bytes);
            let name = format!("{region}, byte {at}");
            for (moment, intact) in &before {
                let state = place.state(*moment).await.unwrap_or_else(|error| panic!("{name}, {moment:?}: {error}"));
                assert_eq!(objects(&state), objects(intact), "{name}, {moment:?}");
                assert!(state.doubtful().next().is_none() && state.gaps.is_empty(), "{name}, {moment:?}");
            }
            for moment in [At::Seq(Seq(12)), At::Time(t(95)), At::Seq(Seq(13)), At::Seq(Seq(20)), At::Latest] {
                let error = place.state(moment).await.expect_err(&name);
                assert_eq!(damage(error).segment, Some(VICTIM), "{name}, {moment:?}");
            }
            // With the damage passed over, nothing is there that was not written.
            let state = place.passing(At::Latest).await;
            assert_eq!(state.doubtful().map(|damage| damage.segment).collect::<Vec<_>>(), [Some(VICTIM)], "{name}");
            for record in objects(&state) {
                assert!(place.records.contains(record), "{name}: {record:?} was never written");
            }
            let told = place.told().await;
            assert_eq!(told.iter().filter(|one| one.is_err()).collect::<Vec<_>>(), [&Err(VICTIM)], "{name}");
            for seq in (1..LOST.start).chain(LOST.end..21) {
                assert!(told.contains(&Ok(seq)), "{name}: record {seq} is not told");
            }
            place.archive().await.timeline().await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let survey = place.archive().await.survey().await.expect("a survey");
            assert_eq!(survey.damage.len(), 1, "{name}");
            assert!(survey.damage[0].after.is_some_and(|after| t(80) <= after && after < t(90)), "{name}");
        }
    }
}

#[tokio::test]
async fn a_flip_outside_of_the_data_loses_no_record() {
    let place = Place::new().await;
    let good = place.bytes(VICTIM);
    let latest = place.state(At::Latest).await.expect("intact");
    for (region, range) in regions(&good) {
        let mut bytes = good.clone();
        bytes[range.start + 9] ^= 1;
        place.put(VICTIM, &bytes);
        let state = place.passing(At::Latest).await;
        let lost = state.damage[0].lost().expect("known");
        if region == "meta and data" {
            assert_eq!(lost, [SeqRange::new(Seq(LOST.start), Seq(LOST.end - 1))]);
        } else {
            assert_eq!(lost, [], "{region}");
            assert_eq!(objects(&state), objects(&latest), "{region}");
        }
    }
}

#[tokio::test]
async fn the_error_names_segment_code_what_is_lost_and_what_is_not() {
    let place = Place::new().await;
    let mut bytes = place.bytes(VICTIM);
    bytes[40] ^= 1;
    place.put(VICTIM, &bytes);
    let text = place.state(At::Latest).await.expect_err("damaged").to_string();
    assert_eq!(
        text,
        "log/0000/0000000000000004 is damaged: bytes were changed (E_BODY_HASH at byte 0); lost: records 9 to 12, observed \
         after 2027-01-15T08:00:00.000089Z and before 2027-01-15T08:00:00.000121Z"
    );
    place.put(VICTIM, b"");
    let text = place.state(At::Latest).await.expect_err("damaged").to_string();
    assert_eq!(
        text,
        "log/0000/0000000000000004 is damaged: it has 0 bytes, fewer than a footer (E_TRUNCATED); lost: records 9 to 12, \
         observed after 2027-01-15T08:00:00.00008Z and before 2027-01-15T08:00:00.00013Z"
    );
}

#[tokio::test]
async fn a_missing_segment_is_damage_like_any_other() {
    let place = Place::new().await;
    fs::remove_file(place.file(VICTIM)).expect("removed");
    assert_eq!(place.state(At::Seq(Seq(8))).await.expect("before it").objects.len(), 2);
    let damage = damage(place.state(At::Latest).await.expect_err("behind it"));
    assert_eq!((damage.segment, damage.code), (Some(VICTIM), Code::Missing));
    assert_eq!(damage.lost(), Some(vec![SeqRange::new(Seq(9), Seq(12))]));
    assert_eq!(place.passing(At::Latest).await.seq, Seq(20));
    let mut expected: Vec<Result<u64, u64>> = (1..9).map(Ok).collect();
    expected.push(Err(VICTIM));
    expected.extend((13..21).map(Ok));
    assert_eq!(place.told().await, expected);
}

/// Takes the archive over behind whatever its head is.
async fn go_on(place: &Place, nonce: u8) -> (Head, Writer) {
    let archive = place.archive().await;
    let head = archive.head_behind_damage().await.expect("a head");
    match take_over(&archive, &head, nonce, &place.clock).await.expect("a fence") {
        FenceOutcome::Owner(writer) => (head, writer),
        FenceOutcome::Taken(head) => panic!("nobody else is there, but {head:?} is"),
    }
}

#[tokio::test]
async fn behind_a_damaged_head_a_fence_begins_anew_and_the_head_may_come_back_from_a_copy() {
    for (what, known) in [("a flipped bit", true), ("a lost footer", true), ("nothing left", false)] {
        let place = Place::new().await;
        let good = place.bytes(6);
        match what {
            "a flipped bit" => place.put(6, &[&good[..40], &[good[40] ^ 1], &good[41..]].concat()),
            "a lost footer" => place.put(6, &good[..good.len() - 10]),
            _ => place.put(6, b""),
        }
        let refused = damage(place.state(At::Latest).await.expect_err("the newest changes are what is damaged"));
        assert_eq!(refused.segment, Some(6), "{what}");
        assert!(place.passing(At::Latest).await.doubtful().next().is_some(), "{what}");
        let error = place.archive().await.head().await.expect_err("damaged");
        assert_eq!(damage(error).segment, Some(6), "{what}");
        place.clock.pass(1);
        let (head, mut writer) = go_on(&place, 2).await;
        assert_eq!(head.seq == Seq(20), known, "{what}: {head:?}");
        assert!(head.seq >= Seq(20) && head.epoch >= Epoch(1), "{what}: no seq and no epoch is used twice");
        let beat = |seq: u64| Record { t: t(1_000_000 + seq.cast_signed()), ..record(seq, Change::Heartbeat) };
        let first = writer.head().seq.0 + 1;
        writer.commit(input(vec![beat(first), beat(first + 1)]), &|| place.clock.now()).await.expect("committed");
        let survey = place.archive().await.survey().await.expect("a survey");
        let slots: Vec<_> = survey.damage.iter().map(|damage| damage.segment).collect();
        assert_eq!(slots, [Some(6)], "{what}: only the head is damaged");
        place.put(6, &good);
        assert_eq!(place.archive().await.survey().await.expect("a survey").damage, [], "{what}: it is whole again");
    }
}

/// A record that says that a resource was in a gap because segments are damaged.
fn passed_over(seq: u64, slots: &[u64], resource: &str, from: Timestamp, to: i64) -> Record {
    let gap = Gap {
        resource: ResourceId::new("kubevirt.io", resource, ""),
        object: None,
        from,
        to: Some(t(to)),
        cause: GapCause::Damage,
        detail: damage_detail(slots),
        opened: None,
    };
    record(seq, Change::Gap(gap))
}

#[tokio::test]
async fn what_the_watcher_accounts_for_in_every_resource_is_no_longer_refused() {
    let place = Place::new().await;
    let mut bytes = place.bytes(VICTIM);
    bytes[40] ^= 1;
    place.put(VICTIM, &bytes);
    let (_, mut writer) = go_on(&place, 2).await;
    let one = vec![passed_over(21, &[VICTIM], "virtualmachines", t(80), 205)];
    writer.commit(input(one), &|| place.clock.now()).await.expect("committed");
    assert!(place.state(At::Latest).await.is_err(), "nothing is known of the other resource");
    let other = vec![passed_over(22, &[VICTIM], "datavolumes", t(80), 215)];
    writer.commit(input(other), &|| place.clock.now()).await.expect("committed");
    let state = place.state(At::Latest).await.expect("accounted for");
    assert!(state.damage[0].accounted && state.doubtful().next().is_none());
    assert!(state.gaps.is_empty(), "both gaps ended");
    let inside = place.state(At::Seq(Seq(16))).await.expect("accounted for");
    assert_eq!(inside.gaps.len(), 2, "in the gaps");
    assert_eq!(read_all(&place.store).await.expect("accounted for").len(), 18, "22 records, of which four are lost");
    // Another segment that is damaged later is not accounted for by that.
    let mut bytes = place.bytes(5);
    bytes[40] ^= 1;
    place.put(5, &bytes);
    assert_eq!(damage(place.state(At::Latest).await.expect_err("damaged")).segment, Some(5));
    assert_eq!(damage(read_all(&place.store).await.expect_err("damaged")).segment, Some(5));
}
