//! MAC addresses, serial and UUID: what makes a machine itself.
//!
//! Regenerated values are derived from seed, target and field, so that a plan can be repeated.
//!
//! Does not: draw random numbers, or look for collisions anywhere but in what it is given.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vmrewind_graph::mutate;
use vmrewind_model::{Digest, ObjectKey};

use crate::{
    error::RestoreError,
    json::{list, text},
    mutation::Mutation,
    options::{IdentityPolicy, Mutations},
    plan::{IdentityField, IdentityRow},
    view::{IdentityInUse, TargetView},
};

#[cfg(test)]
mod tests;

/// What becomes of the identity of one machine.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// What is changed.
    pub(crate) mutations: Vec<Mutation>,
    /// Before and after.
    pub(crate) rows: Vec<IdentityRow>,
    /// Whether the UUID that the guest sees becomes another one.
    pub(crate) new_uuid: bool,
}

/// Decides the identity of a machine (a VirtualMachine or a lone instance; templates of sets have none).
///
/// # Errors
/// [`RestoreError::Invalid`] for a mapped value that is no MAC address of one machine, or no UUID.
pub(crate) fn decide(
    from: &ObjectKey,
    to: &ObjectKey,
    object: &Value,
    mutations: &Mutations,
    taken: &mut Taken,
) -> Result<Identity, RestoreError> {
    let mut identity = Identity::default();
    if !from.is("kubevirt.io", "VirtualMachine") && !from.is("kubevirt.io", "VirtualMachineInstance") {
        return Ok(identity);
    }
    let before = mutate::identity(object);
    let one = Machine { from, to, seed: &mutations.seed };
    for interface in &before.interfaces {
        let (name, mac) = (interface.name.as_str(), interface.mac.clone());
        let after = match one.choice(&mutations.mac, Some(name)) {
            Choice::Value(value) => Some(checked_mac(value)?),
            // An interface without an address gets one from the platform at every start, and goes on doing so.
            Choice::Regenerate if mac.is_some() => {
                Some(taken.fresh(to, IdentityField::Mac, |attempt| one.derived_mac(name, attempt)))
            }
            Choice::Clear => None,
            Choice::Keep | Choice::Regenerate => mac.clone(),
        };
        if let Some(to) = after.clone().filter(|_| after != mac) {
            identity.mutations.push(Mutation::Mac { interface: name.to_owned(), to });
        }
        identity.rows.push(one.row(IdentityField::Mac, name, mac, after));
    }
    if mutations.mac == IdentityPolicy::Clear && before.interfaces.iter().any(|interface| interface.mac.is_some()) {
        identity.mutations.push(Mutation::ClearMacs);
    }
    let serial = before.serial;
    let after = match one.choice(&mutations.serial, None) {
        Choice::Value(value) => Some(value.to_owned()),
        Choice::Regenerate if serial.is_some() => {
            Some(taken.fresh(to, IdentityField::Serial, |attempt| one.derived_uuid("serial", attempt)))
        }
        Choice::Clear => None,
        Choice::Keep | Choice::Regenerate => serial.clone(),
    };
    if after != serial {
        identity.mutations.push(Mutation::Serial { to: after.clone() });
    }
    if serial.is_some() || after.is_some() {
        identity.rows.push(one.row(IdentityField::Serial, "", serial, after));
    }
    let uuid = before.firmware_uuid;
    // Machines from before KubeVirt 1.6 have no UUID in their spec; the guest saw one derived from the name. Left
    // empty, the server would fill in a random one (`kubevirt/kubevirt: pkg/virt-controller/watch/vm/firmware.go`).
    let machine = from.kind == "VirtualMachine";
    let legacy = || machine.then(|| mutate::legacy_firmware_uuid(&from.name).to_string());
    let seen = uuid.clone().or_else(legacy);
    let after = match one.choice(&mutations.firmware_uuid, None) {
        Choice::Value(value) => Some(checked_uuid(value)?),
        Choice::Regenerate if seen.is_some() => {
            Some(taken.fresh(to, IdentityField::FirmwareUuid, |attempt| one.derived_uuid("uuid", attempt)))
        }
        Choice::Clear => None,
        Choice::Keep | Choice::Regenerate => seen.clone(),
    };
    identity.new_uuid =
        seen.is_some() && after.as_ref().map(|text| text.to_lowercase()) != seen.map(|text| text.to_lowercase());
    if after != uuid {
        identity.mutations.push(Mutation::FirmwareUuid { to: after.clone() });
    }
    if uuid.is_some() || after.is_some() {
        identity.rows.push(one.row(IdentityField::FirmwareUuid, "", uuid, after));
    }
    Ok(identity)
}

enum Choice<'a> {
    Keep,
    Clear,
    Regenerate,
    Value(&'a str),
}

struct Machine<'a> {
    from: &'a ObjectKey,
    to: &'a ObjectKey,
    seed: &'a str,
}

impl Machine<'_> {
    /// In place keeps, a copy regenerates, unless the user says otherwise.
    fn choice<'p>(&self, policy: &'p IdentityPolicy, interface: Option<&str>) -> Choice<'p> {
        let auto = if self.from == self.to { Choice::Keep } else { Choice::Regenerate };
        match policy {
            IdentityPolicy::Auto => auto,
            IdentityPolicy::Keep => Choice::Keep,
            IdentityPolicy::Clear => Choice::Clear,
            IdentityPolicy::Regenerate => Choice::Regenerate,
            IdentityPolicy::Map(map) => {
                let name =
                    interface.map_or_else(|| self.from.name.clone(), |name| format!("{}/{name}", self.from.name));
                let full = format!("{}/{name}", self.from.namespace);
                map.get(&full).or_else(|| map.get(&name)).map_or(auto, |value| Choice::Value(value))
            }
        }
    }

    fn row(&self, field: IdentityField, interface: &str, before: Option<String>, after: Option<String>) -> IdentityRow {
        IdentityRow {
            vm: self.to.clone(),
            field,
            interface: interface.to_owned(),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
            also_used_by: Vec::new(),
        }
    }

    fn derived(&self, field: &str, attempt: u32) -> [u8; 32] {
        let text = format!("vmrewind identity 1\n{}\n{}\n{field}\n{attempt}", self.seed, self.to);
        Digest::of(text.as_bytes()).0
    }

    /// Derives a locally administered unicast address.
    fn derived_mac(&self, interface: &str, attempt: u32) -> String {
        let bytes = self.derived(&format!("mac/{interface}"), attempt);
        let first = (bytes[0] & 0b1111_1100) | 0b10;
        format!("{first:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[1], bytes[2], bytes[3], bytes[4], bytes[5])
    }

    fn derived_uuid(&self, field: &str, attempt: u32) -> String {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.derived(field, attempt)[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// Identities that must not be used again.
#[derive(Debug, Default)]
pub(crate) struct Taken(BTreeMap<(IdentityField, String), BTreeSet<(String, String)>>);

impl Taken {
    pub(crate) fn new(view: &TargetView) -> Self {
        let mut taken = Self::default();
        for one in &view.identities {
            taken.take(one.field, one.value.clone(), &one.holder);
        }
        taken
    }

    fn take(&mut self, field: IdentityField, value: String, holder: &ObjectKey) {
        let machine = (holder.namespace.clone(), holder.name.clone());
        self.0.entry((field, value)).or_default().insert(machine);
    }

    /// Returns the first derived value that no other machine has, and takes it. What the machine in the target has
    /// already is its own, so that a copy that is repeated equals the first.
    fn fresh(&mut self, to: &ObjectKey, field: IdentityField, derive: impl Fn(u32) -> String) -> String {
        let own = |holders: &BTreeSet<(String, String)>| {
            holders.iter().all(|(namespace, name)| (namespace, name) == (&to.namespace, &to.name))
        };
        let free = (0..1000).map(&derive).find(|value| self.0.get(&(field, normal(field, value))).is_none_or(own));
        let value = free.unwrap_or_else(|| derive(1000));
        self.take(field, normal(field, &value), to);
        value
    }
}

/// Returns the form in which two values are compared.
pub(crate) fn normal(field: IdentityField, value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    match field {
        IdentityField::Mac => lower.chars().filter(char::is_ascii_hexdigit).collect(),
        IdentityField::Serial | IdentityField::FirmwareUuid => lower,
    }
}

/// Reads the identities of a live machine: as it is specified, and as its network reports it.
pub(crate) fn in_use(key: &ObjectKey, object: &Value) -> Vec<IdentityInUse> {
    let identity = mutate::identity(object);
    let macs = identity.interfaces.into_iter().filter_map(|interface| interface.mac);
    let live = list(object, "status.interfaces").iter().map(|interface| text(interface, "mac").to_owned());
    let firmware = [(IdentityField::Serial, identity.serial), (IdentityField::FirmwareUuid, identity.firmware_uuid)];
    let values: BTreeSet<(IdentityField, String)> = macs
        .chain(live.filter(|mac| !mac.is_empty()))
        .map(|mac| (IdentityField::Mac, mac))
        .chain(firmware.into_iter().filter_map(|(field, value)| Some((field, value?))))
        .map(|(field, value)| (field, normal(field, &value)))
        .collect();
    values.into_iter().map(|(field, value)| IdentityInUse { field, value, holder: key.clone() }).collect()
}

/// Fills in who else has the same identities: live machines other than the one restored, and machines of the plan.
pub(crate) fn find_collisions(rows: &mut [IdentityRow], view: &TargetView) {
    let all: Vec<(IdentityField, String, ObjectKey)> =
        rows.iter().map(|row| (row.field, normal(row.field, &row.after), row.vm.clone())).collect();
    for (index, row) in rows.iter_mut().enumerate().filter(|(_, row)| !row.after.is_empty()) {
        let value = normal(row.field, &row.after);
        let same_machine = |key: &ObjectKey| (&key.namespace, &key.name) == (&row.vm.namespace, &row.vm.name);
        let live = view
            .identities
            .iter()
            .filter(|one| one.field == row.field && one.value == value && !same_machine(&one.holder))
            .map(|one| one.holder.clone());
        let planned = all
            .iter()
            .enumerate()
            .filter(|(other, (field, other_value, _))| *other != index && *field == row.field && *other_value == value)
            .map(|(_, (_, _, key))| key.clone());
        let users: BTreeSet<ObjectKey> = live.chain(planned).collect();
        row.also_used_by = users.into_iter().collect();
    }
}

fn checked_mac(text: &str) -> Result<String, RestoreError> {
    let octets: Vec<Option<u8>> = text
        .split([':', '-'])
        .map(|octet| (octet.len() == 2).then(|| u8::from_str_radix(octet, 16).ok()).flatten())
        .collect();
    let valid = octets.len() == 6 && octets.iter().all(Option::is_some);
    if valid && octets[0].is_some_and(|first| first & 1 == 0) {
        return Ok(text.to_ascii_lowercase().replace('-', ":"));
    }
    Err(RestoreError::invalid(
        format!("{text:?} is no MAC address of one machine"),
        "Write six octets whose first is even, for example 02:00:00:00:00:01.",
    ))
}

fn checked_uuid(text: &str) -> Result<String, RestoreError> {
    let parsed = uuid::Uuid::parse_str(text);
    parsed.map(|uuid| uuid.to_string()).map_err(|_| {
        RestoreError::invalid(format!("{text:?} is no UUID"), "Write it as 5d307ca9-b3ef-428c-8861-06e72d69f223.")
    })
}
