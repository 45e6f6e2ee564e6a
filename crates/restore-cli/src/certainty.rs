//! Whether an answer is proven: gaps, unproven resources and late changes that it touches, with the evidence.
//!
//! Does not: change the answer; a doubtful one is refused unless the user allows the doubt.

use std::time::Duration;

use vmrewind_archive::{Damage, GapSpan, Late, Proof, State};
use vmrewind_model::{ObjectKey, ProofState, Timestamp};

use crate::{
    age,
    at::Instant,
    context::{Ctx, DEFINITION},
    describe::describe,
    error::{CliError, Kind},
    mask::Masker,
    moment::{Moment, told_time},
    names::{Target, TypeName},
};

/// Some objects of one type that an answer is about, or was computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    /// The API group.
    pub(crate) group: String,
    /// The kind.
    pub(crate) kind: String,
    /// The plural name.
    pub(crate) plural: String,
    /// The namespace; none for all.
    pub(crate) namespace: Option<String>,
    /// The name; none for all.
    pub(crate) name: Option<String>,
}

impl Touch {
    /// Touches the objects of a type in a namespace (none for all), or one of them.
    pub(crate) fn new(type_: &TypeName, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            group: type_.group.clone(),
            kind: type_.kind.clone(),
            plural: type_.plural.clone(),
            namespace: namespace.filter(|_| type_.namespaced).map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    /// Tells whether an object is among them.
    pub(crate) fn object(&self, key: &ObjectKey) -> bool {
        key.is(&self.group, &self.kind)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
    }

    /// Tells whether a watched resource holds any of them.
    fn resource(&self, group: &str, plural: &str, scope: &str) -> bool {
        let here = scope.is_empty() || self.namespace.as_ref().is_none_or(|namespace| namespace == scope);
        self.group == group && self.plural == plural && here
    }
}

/// What an answer touches.
#[derive(Clone, Debug)]
pub(crate) enum Touched {
    /// Everything in these namespaces (none for all), of every type.
    All(Option<String>),
    /// These.
    Some(Vec<Touch>),
}

impl Touched {
    /// Returns what an answer about these targets touches: without any, everything in the namespace.
    pub(crate) fn of(targets: &[Target], namespace: Option<&str>) -> Self {
        if targets.is_empty() {
            return Self::All(namespace.map(str::to_owned));
        }
        let touch = |target: &Target| {
            Touch::new(&target.type_, target.namespace.as_deref().or(namespace), target.name.as_deref())
        };
        Self::Some(targets.iter().map(touch).collect())
    }

    /// Adds what another one touches.
    pub(crate) fn with(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Some(mut touches), Self::Some(others)) => {
                touches.extend(others.iter().filter(|touch| !touches.contains(touch)).cloned().collect::<Vec<_>>());
                Self::Some(touches)
            }
            (Self::Some(_), all @ Self::All(_)) => all.clone(),
            (all @ Self::All(_), _) => all,
        }
    }

    /// Tells whether an object is touched.
    pub(crate) fn object(&self, key: &ObjectKey) -> bool {
        match self {
            Self::All(namespace) => namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace),
            Self::Some(touches) => touches.iter().any(|touch| touch.object(key)),
        }
    }

    /// Tells whether a watched resource holds anything that is touched.
    pub(crate) fn resource(&self, id: &vmrewind_model::ResourceId) -> bool {
        match self {
            Self::All(namespace) => {
                id.scope.is_empty() || namespace.as_ref().is_none_or(|namespace| *namespace == id.scope)
            }
            Self::Some(touches) => touches.iter().any(|touch| touch.resource(&id.group, &id.resource, &id.scope)),
        }
    }
}

/// A reason why an answer is not certain.
pub(crate) enum Doubt<'a> {
    /// The instant lies in a gap.
    Gap(&'a GapSpan),
    /// The resource is not proven at the instant.
    Unproven(&'a Proof),
    /// The type was never captured.
    NeverCaptured(&'a Touch),
    /// It is not known whether a change came before or after the instant.
    Late(&'a Late),
    /// Changes up to the instant were in a segment that is damaged. The archive is read only if that is allowed.
    Damage(&'a Damage),
}

impl Doubt<'_> {
    fn is_late(&self) -> bool {
        matches!(self, Self::Late(_))
    }

    /// Says it in a sentence.
    pub(crate) fn sentence(&self, moment: &Moment, masker: &mut Masker) -> String {
        sentence(moment, self, masker)
    }
}

/// As long as a resource catches up, the newest state lacks at most this much of it.
const CATCHING_UP: Duration = Duration::from_secs(120);

/// Finds the reasons why the state is not certain where `touched` says that it matters.
pub(crate) fn doubts<'a>(moment: &'a Moment, touched: &'a Touched) -> Vec<Doubt<'a>> {
    let state = &moment.state;
    let latest = moment.asked == Instant::Latest;
    let mut found: Vec<Doubt<'_>> = Vec::new();
    let gap_matters = |span: &&GapSpan| match &span.gap.object {
        Some(key) => touched.object(key),
        None => touched.resource(&span.gap.resource),
    };
    found.extend(state.gaps.iter().filter(gap_matters).map(Doubt::Gap));
    let stale = |proof: &&Proof| {
        if latest {
            let old = || proof.entry.proven_at.is_none_or(|proven| state.t.since(proven) > CATCHING_UP);
            match proof.entry.state {
                _ if proof.since.is_none() => true,
                ProofState::Denied | ProofState::Stalled => true,
                ProofState::Late | ProofState::Relisting => old(),
                ProofState::Live | ProofState::Removed => false,
            }
        } else {
            !proof.covers(state.t)
        }
    };
    let proofs = state.proofs.iter().filter(|proof| touched.resource(&proof.entry.id));
    found.extend(proofs.filter(stale).filter(|proof| !is_known_removed(proof)).map(Doubt::Unproven));
    if let Touched::Some(touches) = touched {
        let unknown = |touch: &&Touch| {
            let captured =
                |proof: &Proof| touch.resource(&proof.entry.id.group, &proof.entry.id.resource, &proof.entry.id.scope);
            !state.proofs.iter().any(captured) && !known_unserved(state, touch)
        };
        found.extend(touches.iter().filter(unknown).map(Doubt::NeverCaptured));
    }
    found.extend(state.late.iter().filter(|late| touched.object(&late.key.object)).map(Doubt::Late));
    found.extend(state.doubtful().map(Doubt::Damage));
    found
}

/// Tells whether it is known that the type is gone from the cluster: its end is recorded, and nothing can change.
fn is_known_removed(proof: &Proof) -> bool {
    proof.entry.state == ProofState::Removed
}

/// Groups with a dot whose types every cluster serves without a definition.
const BUILT_IN_GROUPS: [&str; 7] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Tells whether it is known that the cluster did not serve the type: definitions are proven, and it has none.
fn known_unserved(state: &State, touch: &Touch) -> bool {
    let (group, kind) = DEFINITION;
    let name = format!("{}.{}", touch.plural, touch.group);
    let definitions_proven = state
        .proofs
        .iter()
        .any(|proof| proof.entry.id.group == group && proof.entry.kind == kind && proof.since.is_some());
    touch.group.contains('.')
        && !BUILT_IN_GROUPS.contains(&touch.group.as_str())
        && definitions_proven
        && !state.objects.contains_key(&ObjectKey::new(group, kind, "", &name))
}

/// Says on standard error what is uncertain about an answer.
///
/// # Errors
/// [`Kind::Uncertain`] if something is, and the user has not allowed it.
pub(crate) fn check(ctx: &mut Ctx, moment: &Moment, touched: &Touched) -> Result<(), CliError> {
    let found = doubts(moment, touched);
    let (allowed, refused): (Vec<_>, Vec<_>) = found.into_iter().partition(|doubt| match doubt {
        Doubt::Late(_) => ctx.global.allow_late,
        Doubt::Damage(_) => ctx.global.allow_damage,
        Doubt::Gap(_) | Doubt::Unproven(_) | Doubt::NeverCaptured(_) => ctx.global.allow_gaps,
    });
    for damage in moment.state.damage.iter().filter(|damage| damage.accounted || !damage.touches(moment.state.t)) {
        ctx.talk.warn(&elsewhere(moment, damage))?;
    }
    let mut masker = ctx.masker();
    for doubt in &allowed {
        ctx.talk.warn(&sentence(moment, doubt, &mut masker))?;
    }
    if refused.is_empty() {
        return lag(ctx, moment, touched);
    }
    let mut lines = vec![format!("the answer for {} is uncertain.", moment.label())];
    lines.extend(refused.iter().map(|doubt| format!("  - {}", sentence(moment, doubt, &mut masker))));
    Err(CliError::new(Kind::Uncertain, lines.join("\n")).hint(way_out(ctx.now, moment, touched, &refused)))
}

/// Says how old the proof is, for the newest state.
fn lag(ctx: &mut Ctx, moment: &Moment, touched: &Touched) -> Result<(), CliError> {
    if moment.asked != Instant::Latest {
        return Ok(());
    }
    let proofs =
        moment.state.proofs.iter().filter(|proof| touched.resource(&proof.entry.id) && !is_known_removed(proof));
    let oldest =
        proofs.filter_map(|proof| proof.entry.proven_at.map(|at| (at, &proof.entry.id))).min_by_key(|(at, _)| *at);
    if let Some((at, id)) = oldest {
        ctx.talk.note(&format!("Proven up to {at} ({}), the oldest being {id}.", age::ago(ctx.now, at)))?;
    }
    Ok(())
}

fn sentence(moment: &Moment, doubt: &Doubt<'_>, masker: &mut Masker) -> String {
    match doubt {
        Doubt::Gap(span) => gap_sentence(span),
        Doubt::Unproven(proof) => unproven_sentence(moment, proof),
        Doubt::NeverCaptured(touch) => format!("{} was never captured.", plural_name(touch)),
        Doubt::Late(late) => late_sentence(moment, late, masker),
        Doubt::Damage(damage) => damage_sentence(moment, damage),
    }
}

/// Says what an answer may lack because of a damaged segment.
fn damage_sentence(moment: &Moment, damage: &Damage) -> String {
    let seen_again = |record: &vmrewind_model::Record| damage.before.is_some_and(|before| before <= record.t);
    let objects = moment.state.objects.values();
    let old = objects.filter(|entry| !seen_again(&entry.record)).count();
    format!(
        "{damage}. Changes in it may be missing: {old} of the {} objects read have no record after it, and may be older than \
         they were, or gone; others may be missing.",
        moment.state.objects.len()
    )
}

/// Says of damage that does not make the answer uncertain where it is.
fn elsewhere(moment: &Moment, damage: &Damage) -> String {
    if damage.touches(moment.state.t) {
        return format!(
            "the archive is damaged: {damage}. The watcher went on behind it; gaps tell what is not proven because of it."
        );
    }
    format!("the archive is damaged after {}: {damage}. This answer does not need it.", moment.label())
}

fn plural_name(touch: &Touch) -> String {
    if touch.group.is_empty() { touch.plural.clone() } else { format!("{}.{}", touch.plural, touch.group) }
}

/// Describes a gap in one sentence.
pub(crate) fn gap_sentence(span: &GapSpan) -> String {
    let gap = &span.gap;
    let what = gap.object.as_ref().map_or_else(|| gap.resource.to_string(), ToString::to_string);
    let until = gap.to.map_or_else(|| "still open".to_owned(), |to| format!("until {to}"));
    let detail = if gap.detail.is_empty() { String::new() } else { format!(": {}", gap.detail) };
    format!("gap in {what} from {} {until} ({}{detail}).", gap.from, cause(gap.cause))
}

/// Names the cause of a gap.
pub(crate) fn cause(cause: vmrewind_model::GapCause) -> String {
    serde_json::to_value(cause).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Names the state of a proof.
pub(crate) fn state_name(state: ProofState) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn unproven_sentence(moment: &Moment, proof: &Proof) -> String {
    let entry = &proof.entry;
    let t = moment.state.t;
    let detail = if entry.detail.is_empty() { String::new() } else { format!(" ({})", entry.detail) };
    let state = state_name(entry.state);
    match (proof.since, entry.proven_at) {
        (Some(since), _) if t < since => {
            format!("{} is proven from {since} on, which is after {t}.", entry.id)
        }
        (Some(_), Some(until)) => format!("{} is proven up to {until} only; it is {state}{detail}.", entry.id),
        _ => format!("{} was never proven; it is {state}{detail}.", entry.id),
    }
}

fn late_sentence(moment: &Moment, late: &Late, masker: &mut Masker) -> String {
    let (lo, t, asked) = (late.lo, late.t, moment.state.t);
    let op = crate::record::verb(&late.record);
    let before = moment.state.objects.get(&late.key.object);
    let value = |record: &vmrewind_model::Record| record.change.object().and_then(|object| object.value().ok());
    let words = match (before.and_then(|entry| value(&entry.record)), value(&late.record)) {
        (Some(mut before), Some(mut after)) => {
            vmrewind_graph::noise(&mut before);
            vmrewind_graph::noise(&mut after);
            format!(": {}", describe(&masker.comparable(&before), &masker.comparable(&after)).words)
        }
        _ => String::new(),
    };
    let candidates = match before {
        Some(entry) => format!("either the state of seq:{} or that of seq:{}", entry.record.seq, late.record.seq),
        None => format!("either no such object, or that of seq:{}", late.record.seq),
    };
    let evidence = told_time(&late.record).map_or_else(String::new, |(time, source)| {
        let side = if time > asked { "after" } else { "at or before" };
        format!(" {source} says {time}, {side} the instant.").replacen(" its", " Its", 1)
    });
    format!("{} was {op} between {lo} and {t}{words}; so it is {candidates}.{evidence}", late.key.object)
}

/// How long after an instant its proof may still come: idle resources are proven every one to two minutes.
const PROOF_COMES: Duration = Duration::from_secs(300);

/// Tells whether a doubt will go away by waiting: the resource is watched, and its proof has not come so far yet.
fn is_fresh(now: Timestamp, at: Timestamp, doubt: &Doubt<'_>) -> bool {
    let Doubt::Unproven(proof) = doubt else { return false };
    proof.entry.state == ProofState::Live
        && proof.since.is_some_and(|since| since <= at)
        && proof.entry.proven_at.is_some_and(|proven| proven < at && now.since(proven) < PROOF_COMES)
}

/// Names the instants nearby that are certain, and the flags that allow the doubt.
fn way_out(now: Timestamp, moment: &Moment, touched: &Touched, refused: &[Doubt<'_>]) -> String {
    let t = moment.state.t;
    let mut before: Option<Timestamp> = None;
    let mut after: Option<Timestamp> = None;
    let mut blocked = false;
    for doubt in refused {
        let (earlier, later) = match doubt {
            Doubt::Gap(span) => (Some(span.gap.from), span.gap.to),
            Doubt::Late(late) => (Some(late.lo), Some(late.t)),
            Doubt::Unproven(proof) => match (proof.since, proof.entry.proven_at) {
                (Some(since), _) if t < since => (None, Some(since)),
                (_, Some(proven)) => (Some(proven), None),
                _ => (None, None),
            },
            Doubt::NeverCaptured(_) => (None, None),
            Doubt::Damage(damage) => (damage.after, None),
        };
        if earlier.is_none() && later.is_none() {
            blocked = true;
        }
        if let Some(earlier) = earlier {
            before = Some(before.map_or(earlier, |best| best.min(earlier)));
        }
        after = match (after, later) {
            (Some(best), Some(later)) => Some(best.max(later)),
            (None, later) => later,
            (best, None) => best,
        };
    }
    let provable = |at: &Timestamp| {
        moment
            .state
            .proofs
            .iter()
            .filter(|proof| touched.resource(&proof.entry.id))
            .all(|proof| proof.covers(*at) || is_known_removed(proof))
    };
    let open_end = refused.iter().any(|doubt| matches!(doubt, Doubt::Gap(span) if span.gap.to.is_none()));
    let mut near: Vec<String> = Vec::new();
    if !blocked {
        near.extend(before.filter(provable).map(|at| format!("--at {at}")));
        near.extend(after.filter(|at| !open_end && provable(at)).map(|at| format!("--at {at}")));
    }
    let mut flags = Vec::new();
    if refused.iter().any(|doubt| !doubt.is_late() && !matches!(doubt, Doubt::Damage(_))) {
        flags.push("--allow-gaps");
    }
    if refused.iter().any(|doubt| matches!(doubt, Doubt::Damage(_))) {
        flags.push("--allow-damage");
    }
    if refused.iter().any(Doubt::is_late) {
        flags.push("--allow-late");
    }
    let flags = flags.join(" ");
    if refused.iter().all(|doubt| is_fresh(now, moment.state.t, doubt)) {
        return format!(
            "this instant is so new that not everything is proven up to it yet: what is quiet is proven again within two \
             minutes. Wait and repeat the command; {flags} shows what is known all the same."
        );
    }
    if near.is_empty() {
        format!("{flags} shows what is known all the same.")
    } else {
        format!("the nearest certain instant is {}; {flags} shows what is known all the same.", near.join(" or "))
    }
}
