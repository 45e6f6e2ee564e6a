//! Rebuilding the state from the archive: its records in order, and the resume entries of its segments.
//!
//! Does not: read the archive; the driver hands the records in.

use vmrewind_model::{Change, Digest, ObjectKey, Record, ResumeEntry, Rv, Seq, Timestamp};

use super::{
    State,
    follow::Edge,
    io::Out,
    objects::{Known, Tomb},
};

/// When more deletions than this are remembered while replaying, those that cannot matter are forgotten.
const MANY: usize = 4_096;

impl State {
    /// Takes over what one record says.
    pub fn replay(&mut self, record: &Record) {
        self.order.replay(record);
        let mut out = Out::new(record.t.into());
        match &record.change {
            Change::Object { key, rv, object, .. } => {
                let value = object.value().unwrap_or_default();
                let mut names = (self.rules.edges.wanted)(&value);
                names.retain(|name| *name != key.object);
                names.sort();
                names.dedup();
                self.replay_live(&mut out, record, key, *rv, object.content_id(), names);
            }
            Change::Withheld { key, rv, .. } => {
                self.replay_live(&mut out, record, key, *rv, Digest::of(b""), Vec::new());
            }
            Change::Deleted { key, rv, .. } => self.replay_end(&mut out, &key.object, *rv, record),
            Change::Unobserved { key, .. } => {
                self.replay_end(&mut out, &key.object, None, record);
                if (self.rules.edges.by_name)(&key.object.group, &key.object.kind) {
                    self.objects.tombs.remove(&key.object);
                }
                self.follow.forget_unnamed(&key.object);
            }
            Change::Absent { key, .. } => self.follow_absent(&key.object),
            Change::Gap(gap) => self.gaps.replay(record.seq, gap),
            Change::Heartbeat => {}
        }
    }

    fn replay_live(
        &mut self,
        out: &mut Out,
        record: &Record,
        key: &vmrewind_model::RecordKey,
        rv: Rv,
        content: Digest,
        names: Vec<ObjectKey>,
    ) {
        let names: Box<[ObjectKey]> = names.into();
        let home: std::sync::Arc<str> = key.home.as_str().into();
        let known = Known {
            uid: key.uid.as_str().into(),
            rv,
            era: record.era,
            content,
            home: home.clone(),
            names: names.clone(),
            seq: record.seq,
        };
        let before = self.objects.live.insert(key.object.clone(), known).map(|known| known.names).unwrap_or_default();
        self.objects.tombs.remove(&key.object);
        self.follow_present(&key.object);
        self.refollow(out, &before, &names, &home, Edge { seq: record.seq, rv, era: record.era, t: record.t });
    }

    fn replay_end(&mut self, out: &mut Out, key: &ObjectKey, rv: Option<Rv>, record: &Record) {
        let known = self.objects.live.remove(key);
        let rv = rv.or(known.as_ref().map(|known| known.rv)).unwrap_or(Rv(0));
        self.objects.tombs.insert(key.clone(), Tomb { rv, era: record.era, at: record.t });
        let names = known.map(|known| known.names).unwrap_or_default();
        let edge = Edge { seq: record.seq, rv, era: record.era, t: record.t };
        self.refollow(out, &names, &[], &std::sync::Arc::default(), edge);
        self.follow_absent(key);
    }

    /// Takes over what a segment says of resources, after its records.
    pub fn replay_resume(&mut self, entries: &[ResumeEntry]) {
        for entry in entries {
            self.order.era = self.order.era.max(entry.era);
            self.retired.insert(entry.id.clone(), entry.clone());
            self.told.insert(entry.id.clone(), entry.clone());
        }
        if self.objects.tombs.len() > MANY {
            self.forget_settled();
        }
    }

    /// Takes over the instant of a segment's end: the next record has a later one.
    pub fn replay_until(&mut self, t: Timestamp) {
        self.order.replay_until(t);
    }

    /// Goes on behind a place of the archive, whether or not what lies before it could be read.
    pub fn replay_behind(&mut self, seq: Seq, t: Timestamp) {
        self.order.replay_behind(seq);
        self.order.replay_until(t);
    }

    /// Ends the replay: from now on inputs follow.
    pub fn replayed(&mut self, now: Timestamp) {
        self.forget_settled();
        for tomb in self.objects.tombs.values_mut() {
            tomb.at = now;
        }
    }

    /// Goes on with another cluster, after the replay: its versions say nothing of those of the archive, so that a new
    /// era begins in which everything is listed and compared by content.
    pub fn adopt(&mut self) {
        self.order.era = self.order.era.next();
    }

    /// Forgets the deletions that a resumed watch cannot bring again.
    fn forget_settled(&mut self) {
        let (era, retired) = (self.order.era, &self.retired);
        self.objects.tombs.retain(|key, tomb| {
            tomb.era == era
                && retired.values().any(|entry| {
                    key.is(&entry.id.group, &entry.kind)
                        && (entry.id.scope.is_empty() || entry.id.scope == key.namespace)
                        && entry.rv.is_none_or(|rv| rv < tomb.rv)
                })
        });
    }
}
