use serde_json::json;

use super::*;

fn vm() -> Value {
    json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"template": {"spec": {"domain": {
            "firmware": {"serial": "S1", "uuid": "5d307ca9-b3ef-428c-8861-06e72d69f223"},
            "devices": {"interfaces": [{"name": "default", "macAddress": "02:00:00:00:00:01"}, {"name": "free"}]}}}}}})
}

fn key(namespace: &str) -> ObjectKey {
    ObjectKey::new("kubevirt.io", "VirtualMachine", namespace, "web")
}

fn decided(to: &str, object: &Value, mutations: &Mutations) -> Identity {
    decide(&key("prod"), &key(to), object, mutations, &mut Taken::default()).expect("valid")
}

fn after(identity: &Identity, field: IdentityField) -> Vec<&str> {
    identity.rows.iter().filter(|row| row.field == field).map(|row| row.after.as_str()).collect()
}

#[test]
fn in_place_everything_stays_and_nothing_is_mutated() {
    let identity = decided("prod", &vm(), &Mutations::default());
    assert!(identity.mutations.is_empty() && !identity.new_uuid);
    assert_eq!(after(&identity, IdentityField::Mac), ["02:00:00:00:00:01", ""]);
}

#[test]
fn a_copy_gets_new_values_that_depend_on_seed_and_target_only() {
    let mutations = Mutations { seed: "s".into(), ..Mutations::default() };
    let (one, again) = (decided("dr", &vm(), &mutations), decided("dr", &vm(), &mutations));
    assert_eq!(one.rows, again.rows);
    assert_eq!(one.mutations.len(), 3);
    assert!(one.new_uuid);
    let elsewhere = decided("dr2", &vm(), &mutations);
    let reseeded = decided("dr", &vm(), &Mutations { seed: "t".into(), ..Mutations::default() });
    for field in [IdentityField::Mac, IdentityField::Serial, IdentityField::FirmwareUuid] {
        assert_ne!(after(&one, field)[0], after(&elsewhere, field)[0]);
        assert_ne!(after(&one, field)[0], after(&reseeded, field)[0]);
    }
    let mac = after(&one, IdentityField::Mac)[0];
    let first = u8::from_str_radix(&mac[..2], 16).expect("hex");
    assert_eq!(first & 0b11, 0b10, "locally administered and unicast: {mac}");
    assert_eq!(after(&one, IdentityField::Mac)[1], "", "an interface without an address stays without");
}

#[test]
fn a_regenerated_address_avoids_those_in_use() {
    let mutations = Mutations::default();
    let first = decided("dr", &vm(), &mutations);
    let mac = after(&first, IdentityField::Mac)[0].to_owned();
    let mut taken = Taken::default();
    taken.take(IdentityField::Mac, normal(IdentityField::Mac, &mac.to_uppercase()), &key("elsewhere"));
    let second = decide(&key("prod"), &key("dr"), &vm(), &mutations, &mut taken).expect("valid");
    assert_ne!(after(&second, IdentityField::Mac)[0], mac);
}

#[test]
fn a_machine_without_a_uuid_keeps_the_one_its_guest_saw() {
    let mut old = vm();
    old["metadata"]["name"] = json!("vm1");
    old["spec"]["template"]["spec"]["domain"].as_object_mut().expect("an object").remove("firmware");
    let from = ObjectKey::new("kubevirt.io", "VirtualMachine", "prod", "vm1");
    let identity = decide(&from, &from, &old, &Mutations::default(), &mut Taken::default()).expect("valid");
    let to = Some("133bf63e-9459-5126-9b21-b56e9b3d17b3".to_owned());
    assert_eq!(identity.mutations, [Mutation::FirmwareUuid { to }]);
    assert!(!identity.new_uuid);
}

#[test]
fn clear_removes_and_map_sets_and_what_is_not_mapped_is_as_under_auto() {
    let clear = Mutations {
        mac: IdentityPolicy::Clear,
        serial: IdentityPolicy::Clear,
        firmware_uuid: IdentityPolicy::Clear,
        ..Mutations::default()
    };
    let identity = decided("prod", &vm(), &clear);
    let mut object = vm();
    identity.mutations.iter().for_each(|mutation| mutation.apply(&mut object));
    let domain = &object["spec"]["template"]["spec"]["domain"];
    assert_eq!(domain["firmware"], json!({}));
    assert_eq!(domain["devices"]["interfaces"][0], json!({"name": "default"}));
    let map = Mutations { mac: "map:web/default=0A-00-00-00-00-05".parse().expect("valid"), ..Mutations::default() };
    let identity = decided("prod", &vm(), &map);
    assert_eq!(after(&identity, IdentityField::Mac), ["0a:00:00:00:00:05", ""]);
    assert_eq!(after(&identity, IdentityField::Serial), ["S1"]);
}

#[test]
fn an_address_of_a_group_or_of_another_length_is_refused() {
    for mac in ["01:00:00:00:00:01", "02:00:00:00:00", "02:00:00:00:00:0g", "020000000001"] {
        let map =
            Mutations { mac: IdentityPolicy::Map([("web/default".into(), mac.into())].into()), ..Mutations::default() };
        let decided = decide(&key("prod"), &key("prod"), &vm(), &map, &mut Taken::default());
        assert!(decided.is_err(), "{mac}");
    }
}

#[test]
fn collisions_are_found_whatever_the_case_and_the_separators() {
    let mut rows = decided("prod", &vm(), &Mutations::default()).rows;
    let holder = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", "other", "thief");
    let own = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", "prod", "web");
    let live = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": {"domain": {"devices": {"interfaces": [{"macAddress": "02-00-00-00-00-01"}]}}}});
    let mut view = TargetView { identities: in_use(&holder, &live), ..TargetView::default() };
    view.identities.extend(in_use(&own, &live));
    find_collisions(&mut rows, &view);
    assert_eq!(rows[0].also_used_by, [holder], "but not its own instance");
}

#[test]
fn a_copy_that_is_repeated_has_the_identities_that_it_has_already() {
    let mutations = Mutations::default();
    let first = decided("dr", &vm(), &mutations);
    let mut taken = Taken::default();
    for row in &first.rows {
        taken.take(row.field, normal(row.field, &row.after), &row.vm);
    }
    let again = decide(&key("prod"), &key("dr"), &vm(), &mutations, &mut taken).expect("valid");
    assert_eq!(again.rows, first.rows);
}
