//! What the guest of a restored machine will notice, said as warnings: disks that are not plugged in any more, and a
//! first boot that happens again.
//!
//! Does not: cover identities that collide, or the data of volumes.

use std::collections::BTreeSet;

use serde_json::Value;
use vmrewind_model::ObjectKey;

use super::Draft;
use crate::{
    json::{at, list, machine_path, text},
    plan::DataSource,
};

impl Draft<'_> {
    /// Warns of what differs for the guest although the object is as captured. `object` is what is written,
    /// `new_uuid` whether the guest sees another firmware UUID.
    pub(super) fn guest(&mut self, key: &ObjectKey, place: &ObjectKey, object: &Value, new_uuid: bool) {
        for (volume, claim) in self.unplugged(key, object) {
            self.warn(
                place,
                format!(
                    "volume {volume} (claim {claim}) was plugged into the running instance only, and the machine's own \
                     specification does not name it: plug it in again with `virtctl addvolume {} --volume-name={claim}`",
                    place.name
                ),
            );
        }
        if !self.keeps_data(key) {
            return;
        }
        let Some(root) = machine_path(key) else { return };
        let volumes = list(object, &format!("{root}.volumes"));
        let has = |source: &str| volumes.iter().any(|volume| volume.get(source).is_some_and(|held| !held.is_null()));
        // `kubevirt/kubevirt: pkg/cloud-init/cloud-init.go`: NoCloud derives it from the UUID, ConfigDrive from the name.
        let again = if has("cloudInitNoCloud") && new_uuid {
            Some("the firmware UUID is another one (--firmware-uuid=keep keeps it)")
        } else if has("cloudInitConfigDrive") && (&key.name, &key.namespace) != (&place.name, &place.namespace) {
            Some("name or namespace is another one")
        } else {
            None
        };
        if let Some(why) = again {
            self.warn(
                place,
                format!(
                    "cloud-init will take it for a new machine, as {why}: on its old disk it will set up host keys, users \
                     and network again"
                ),
            );
        }
    }

    /// Lists volumes that were plugged into the running instance and that what is written does not have, with their
    /// claims.
    fn unplugged(&self, key: &ObjectKey, object: &Value) -> BTreeSet<(String, String)> {
        if key.group != "kubevirt.io" {
            return BTreeSet::new();
        }
        let instance = ObjectKey::new("kubevirt.io", "VirtualMachineInstance", &key.namespace, &key.name);
        let captured = self.world.value(&instance).map_or(&[][..], |instance| list(instance, "spec.volumes"));
        let kept =
            machine_path(key).map_or(&[][..], |root| at(object, root).map_or(&[][..], |spec| list(spec, "volumes")));
        let is_kept = |name: &str| kept.iter().any(|volume| text(volume, "name") == name);
        let plugged = captured.iter().filter_map(|volume| {
            let claim = ["persistentVolumeClaim.claimName", "dataVolume.name"].map(|path| text(volume, path));
            let claim = claim.into_iter().find(|claim| !claim.is_empty())?;
            let name = text(volume, "name");
            (!is_kept(name)).then(|| (name.to_owned(), claim.to_owned()))
        });
        plugged.collect()
    }

    /// Tells whether the machine comes back on a disk that it has run on before.
    fn keeps_data(&self, key: &ObjectKey) -> bool {
        let mine = self.claims.uses.iter().filter(|one| one.vm.as_ref() == Some(key));
        mine.filter_map(|one| self.claims.of(&one.claim))
            .any(|decision| matches!(decision.source, DataSource::Keep | DataSource::Rebind))
    }
}
