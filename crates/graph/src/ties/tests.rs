use serde_json::json;
use vmrewind_testkit::build::{Build, pool, replica_set, secret, vm, vmi};

use super::*;

fn tied(build: Build) -> Build {
    build
        .set_template("architecture", "arm64")
        .set_template("domain.machine.type", "virt-rhel9.4.0")
        .set_template("domain.cpu.model", "host-passthrough")
        .set_template("schedulerName", "own")
        .set_template("nodeSelector", json!({"disk": "nvme", "zone": "a"}))
        .set_template(
            "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            json!({"nodeSelectorTerms": [{"matchFields": []}]}),
        )
        .set_template("domain.devices.gpus", json!([{"name": "gpu1", "deviceName": "nvidia.com/T4"}]))
        .set_template(
            "domain.devices.hostDevices",
            json!([{"name": "claimed", "claimName": "c"}, {"name": "nic", "deviceName": "intel.com/vf"}]),
        )
        .with_volume("data", json!({"hostDisk": {"path": "/data/x.img", "type": "DiskOrCreate"}}))
        .with_volume("old", json!({"hostDisk": {"path": "/data/y.img", "type": "Disk"}}))
        .with_volume("token", json!({"containerPath": {"path": "/var/run/token"}}))
}

#[test]
fn everything_that_ties_a_machine_to_its_place_is_found_in_every_kind_that_has_a_template() {
    for build in [vm("m"), vmi("m"), replica_set("m"), pool("m")] {
        let root = build.template_path();
        let object = tied(build).json();
        let found = ties(&object);
        let kinds: Vec<String> = found.iter().map(|tie| format!("{:?}", tie.to)).collect();
        assert_eq!(
            kinds,
            [
                r#"Architecture("arm64")"#,
                r#"MachineType("virt-rhel9.4.0")"#,
                r#"CpuModel("host-passthrough")"#,
                r#"Scheduler("own")"#,
                r#"NodeLabels({"disk": "nvme", "zone": "a"})"#,
                "NodeAffinity",
                r#"Device { name: "gpu1", resource: "nvidia.com/T4" }"#,
                r#"Device { name: "nic", resource: "intel.com/vf" }"#,
                r#"HostDisk { volume: "data", path: "/data/x.img", made: true }"#,
                r#"HostDisk { volume: "old", path: "/data/y.img", made: false }"#,
                r#"ContainerPath { volume: "token", path: "/var/run/token" }"#,
            ],
        );
        assert!(found.iter().all(|tie| tie.path.starts_with(root)), "{found:?}");
        assert_eq!(found[7].path, format!("{root}.domain.devices.hostDevices[1].deviceName"));
    }
}

#[test]
fn a_plain_machine_and_other_kinds_are_tied_to_nothing() {
    assert!(ties(&vm("m").with_dv("root").json()).is_empty());
    assert!(ties(&secret("m").json()).is_empty());
    let broken = vm("m").set_template("volumes", "no list").set_template("nodeSelector", json!([1]));
    assert!(ties(&broken.json()).is_empty());
}
