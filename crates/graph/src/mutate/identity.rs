//! What makes a machine recognisable: MAC addresses, SMBIOS serial and uuid. Works on machines, instances,
//! replica sets and pools; on other kinds nothing is found or changed.
//!
//! Does not: make up new values, or look for conflicts.

use serde_json::Value;
use uuid::Uuid;

use super::{Changed, put, remove, set, spec_path};
use crate::{names, rules, template, view};

/// The identity of a machine as its object has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Every network interface, in order.
    pub interfaces: Vec<Interface>,
    /// The SMBIOS serial, if it is set.
    pub serial: Option<String>,
    /// The SMBIOS uuid, if it is set. Cloud-init takes its instance id from it, and the state of a TPM hangs on it.
    pub firmware_uuid: Option<String>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the object.
    pub name: String,
    /// Its MAC address, as written; none if it gets a new one at every start.
    pub mac: Option<String>,
    /// The path of the address in the object.
    pub path: String,
}

/// Reads the identity.
#[must_use]
pub fn identity(object: &Value) -> Identity {
    let Some(spec) = spec_path(object) else { return Identity::default() };
    let path = format!("{spec}.domain.devices.interfaces");
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let interfaces = view::list(object, &path).iter().enumerate().map(|(index, interface)| Interface {
        name: view::text(interface, "name").to_owned(),
        mac: set(view::text(interface, "macAddress")),
        path: format!("{path}[{index}].macAddress"),
    });
    Identity {
        interfaces: interfaces.collect(),
        serial: set(view::text(object, &format!("{spec}.domain.firmware.serial"))),
        firmware_uuid: set(view::text(object, &format!("{spec}.domain.firmware.uuid"))),
    }
}

/// Removes all MAC addresses.
pub fn clear_macs(object: &mut Value) -> Vec<Changed> {
    change_interfaces(object, |interface, path| {
        let from = interface.as_object_mut()?.remove("macAddress")?;
        Some(Changed { path, from: Some(from), to: None })
    })
}

/// Sets the MAC address of the interface of that name.
pub fn set_mac(object: &mut Value, name: &str, mac: &str) -> Vec<Changed> {
    change_interfaces(object, |interface, path| {
        let named = view::text(interface, "name") == name;
        interface.as_object_mut().filter(|_| named).and_then(|map| put(map, "macAddress", mac.into(), path))
    })
}

fn change_interfaces(object: &mut Value, change: impl Fn(&mut Value, String) -> Option<Changed>) -> Vec<Changed> {
    let Some(spec) = spec_path(object) else { return Vec::new() };
    let path = format!("{spec}.domain.devices.interfaces");
    let interfaces = view::at_mut(object, &path).and_then(Value::as_array_mut);
    let interfaces = interfaces.into_iter().flatten().enumerate();
    interfaces.filter_map(|(index, interface)| change(interface, format!("{path}[{index}].macAddress"))).collect()
}

/// Sets the SMBIOS serial.
pub fn set_serial(object: &mut Value, serial: &str) -> Vec<Changed> {
    set_firmware(object, "serial", serial)
}

/// Removes the SMBIOS serial. The server gives a new machine a random one.
pub fn clear_serial(object: &mut Value) -> Vec<Changed> {
    clear_firmware(object, "serial")
}

/// Sets the SMBIOS uuid.
pub fn set_firmware_uuid(object: &mut Value, uuid: &str) -> Vec<Changed> {
    set_firmware(object, "uuid", uuid)
}

/// Removes the SMBIOS uuid. The server gives a new machine a random one.
pub fn clear_firmware_uuid(object: &mut Value) -> Vec<Changed> {
    clear_firmware(object, "uuid")
}

fn set_firmware(object: &mut Value, member: &str, value: &str) -> Vec<Changed> {
    let Some(spec) = spec_path(object) else { return Vec::new() };
    set(object, &format!("{spec}.domain.firmware.{member}"), value.into())
}

fn clear_firmware(object: &mut Value, member: &str) -> Vec<Changed> {
    let Some(spec) = spec_path(object) else { return Vec::new() };
    remove(object, &format!("{spec}.domain.firmware.{member}"))
}

/// The namespace in which KubeVirt derived a uuid from a machine's name.
const LEGACY_NAMESPACE: Uuid = Uuid::from_u128(0x6a1a_24a1_4061_4607_8bf4_a396_3d0c_5895);

/// Returns the uuid that KubeVirt gave to a machine of that name that had none
/// (`kubevirt/kubevirt: pkg/virt-controller/watch/vm/firmware.go`).
#[must_use]
pub fn legacy_firmware_uuid(name: &str) -> Uuid {
    Uuid::new_v5(&LEGACY_NAMESPACE, name.as_bytes())
}

/// Writes the uuid that a machine without one had, derived from the name it was recorded under. Without it the
/// server of today would make up a random one, and the guest would see another computer. Only for a
/// VirtualMachine that keeps its identity.
pub fn fill_legacy_firmware_uuid(object: &mut Value, recorded_name: &str) -> Vec<Changed> {
    if !template::is(object, names::VM) || recorded_name.is_empty() || identity(object).firmware_uuid.is_some() {
        return Vec::new();
    }
    set_firmware_uuid(object, &legacy_firmware_uuid(recorded_name).to_string())
}

/// Tells whether the machine has a TPM whose state outlives it: with another uuid that state is lost.
#[must_use]
pub fn has_persistent_tpm(object: &Value) -> bool {
    spec_path(object).and_then(|spec| view::at(object, spec)).is_some_and(rules::keeps_tpm_state)
}
