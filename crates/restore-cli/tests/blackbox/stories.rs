//! The stories that several tests tell.

use serde_json::json;
use vmrewind_model::{GapCause, ObjectKey};
use vmrewind_testkit::build::{Build, dv, namespace, pvc, secret, vm};

use crate::harness::Story;

/// Text that stands in the secret of the stories, in clear and as it is stored.
pub(crate) const PASSWORD: &str = "hunter2-hunter2";
/// See [`PASSWORD`].
pub(crate) const STORED_PASSWORD: &str = "aHVudGVyMi1odW50ZXIy";

/// A machine with a stand-alone disk, a template disk and a secret.
pub(crate) fn database() -> Build {
    with_memory(
        vm("db-1").running().with_pvc("db-1-data").with_template_disk("db-1-root").with_secret("db-1-tls"),
        "4Gi",
    )
    .label("app", "db")
    .managed_by("kubectl")
}

/// Sets the memory of a machine.
pub(crate) fn with_memory(machine: Build, memory: &str) -> Build {
    machine.set("spec.template.spec.domain.memory.guest", memory)
}

/// The secret of the machine.
pub(crate) fn tls() -> Build {
    secret("db-1-tls").set("data", json!({"password": STORED_PASSWORD}))
}

/// An ordinary morning: a machine and what it needs is made, changed and deleted.
pub(crate) fn morning() -> Story {
    let db = database();
    let bigger = with_memory(db.clone(), "8Gi");
    let dying = bigger.clone().deleting_since("2026-11-22T10:30:00Z");
    Story::new()
        .wait(10)
        .added(&namespace("prod"))
        .added(&tls())
        .added(&pvc("db-1-data"))
        .added(&dv("db-1-root"))
        .added(&pvc("db-1-root"))
        .added(&db)
        .added(&with_memory(vm("web").label("app", "web"), "1Gi"))
        .absent(ObjectKey::new("", "ConfigMap", "prod", "db-1-scripts"))
        .commit()
        .wait(600)
        .modified(&db.clone().set("status.observedGeneration", 1))
        .modified(&db.clone().set("status.observedGeneration", 2))
        .modified(&bigger)
        .commit()
        .wait(1190)
        .modified(&dying)
        .deleted(&dying)
        .deleted(&tls())
        .commit()
        .wait(600)
}

/// A watch of machines fell behind for five minutes, in which something happened.
pub(crate) fn gap() -> Story {
    Story::new()
        .wait(10)
        .added(&database())
        .added(&tls())
        .commit()
        .wait(290)
        .gap_opens("kubevirt.io", "virtualmachines", GapCause::Expired)
        .wait(300)
        .seen(&with_memory(database(), "8Gi"))
        .gap_closes("kubevirt.io", "virtualmachines", GapCause::Expired)
        .commit()
        .wait(600)
}

/// The watcher was down from 10:05 to 10:10, and caught up afterwards.
pub(crate) fn outage() -> Story {
    let bigger = with_memory(database(), "8Gi").set(
        "metadata.managedFields",
        json!([{"manager": "kubectl", "operation": "Update", "time": "2026-11-22T10:07:00Z", "fieldsType": "FieldsV1", "fieldsV1": {}}]),
    );
    Story::new()
        .wait(10)
        .added(&database())
        .added(&tls())
        .added(&vm("web"))
        .commit()
        .wait(290)
        .commit()
        .wait(300)
        .late_since("2026-11-22T10:05:00Z")
        .modified(&bigger)
        .late_since("2026-11-22T10:05:00Z")
        .gone(&vm("web"))
        .commit()
        .wait(600)
}
