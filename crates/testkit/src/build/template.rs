//! What virtual machines, instances, replica sets and pools have in common: the instance's spec.
//!
//! Does not: apply to other kinds: for those the methods build into a place that means nothing.

use serde_json::{Value, json};

use super::Build;

impl Build {
    /// Returns the dotted path of the instance's spec in this kind of object.
    #[must_use]
    pub fn template_path(&self) -> &'static str {
        match self.0["kind"].as_str() {
            Some("VirtualMachineInstance") => "spec",
            Some("VirtualMachinePool") => "spec.virtualMachineTemplate.spec.template.spec",
            _ => "spec.template.spec",
        }
    }

    /// Sets a value under the instance's spec.
    #[must_use]
    pub fn set_template(self, path: &str, value: impl Into<Value>) -> Self {
        let path = format!("{}.{path}", self.template_path());
        self.set(&path, value)
    }

    /// Appends to a list under the instance's spec.
    #[must_use]
    pub fn push_template(self, path: &str, value: impl Into<Value>) -> Self {
        let path = format!("{}.{path}", self.template_path());
        self.push(&path, value)
    }

    /// Adds a volume of any type, and a disk for it: `with_volume("data", json!({"emptyDisk": {}}))`.
    #[must_use]
    pub fn with_volume(self, name: &str, mut source: Value) -> Self {
        source["name"] = name.into();
        self.push_template("volumes", source)
            .push_template("domain.devices.disks", json!({"name": name, "disk": {"bus": "virtio"}}))
    }

    /// Adds a volume that holds a Secret.
    #[must_use]
    pub fn with_secret(self, secret: &str) -> Self {
        self.with_volume(secret, json!({"secret": {"secretName": secret}}))
    }

    /// Adds a volume that holds a ConfigMap.
    #[must_use]
    pub fn with_config_map(self, config_map: &str) -> Self {
        self.with_volume(config_map, json!({"configMap": {"name": config_map}}))
    }

    /// Adds a volume that holds a ServiceAccount's token.
    #[must_use]
    pub fn with_service_account(self, account: &str) -> Self {
        self.with_volume(account, json!({"serviceAccount": {"serviceAccountName": account}}))
    }

    /// Adds a disk on a claim.
    #[must_use]
    pub fn with_pvc(self, claim: &str) -> Self {
        self.with_volume(claim, json!({"persistentVolumeClaim": {"claimName": claim}}))
    }

    /// Adds a disk on a DataVolume.
    #[must_use]
    pub fn with_dv(self, data_volume: &str) -> Self {
        self.with_volume(data_volume, json!({"dataVolume": {"name": data_volume}}))
    }

    /// Adds a cloud-init disk whose user data lie in a Secret.
    #[must_use]
    pub fn with_cloud_init_secret(self, secret: &str) -> Self {
        self.with_volume("cloud-init", json!({"cloudInitNoCloud": {"secretRef": {"name": secret}}}))
    }

    /// Adds a cloud-init disk with user data in the object itself.
    #[must_use]
    pub fn with_cloud_init(self, user_data: &str) -> Self {
        self.with_volume("cloud-init", json!({"cloudInitNoCloud": {"userData": user_data}}))
    }

    /// Adds a user's public keys from a Secret.
    #[must_use]
    pub fn with_ssh_key(self, secret: &str) -> Self {
        self.push_template(
            "accessCredentials",
            json!({"sshPublicKey": {"source": {"secret": {"secretName": secret}},
                "propagationMethod": {"noCloud": {}}}}),
        )
    }

    /// Adds users' passwords from a Secret.
    #[must_use]
    pub fn with_password(self, secret: &str) -> Self {
        self.push_template(
            "accessCredentials",
            json!({"userPassword": {"source": {"secret": {"secretName": secret}},
                "propagationMethod": {"qemuGuestAgent": {}}}}),
        )
    }

    /// Adds an interface on the pod network, with a MAC address unless it is empty.
    #[must_use]
    pub fn with_pod_network(self, mac: &str) -> Self {
        self.with_interface("default", json!({"pod": {}}), json!({"masquerade": {}}), mac)
    }

    /// Adds an interface on a secondary network (`name` or `namespace/name`), with a MAC address unless empty.
    #[must_use]
    pub fn with_network(self, network: &str, mac: &str) -> Self {
        let name = network.replace('/', "-");
        self.with_interface(&name, json!({"multus": {"networkName": network}}), json!({"bridge": {}}), mac)
    }

    /// Sets SMBIOS uuid and serial.
    #[must_use]
    pub fn with_firmware(self, uuid: &str, serial: &str) -> Self {
        self.set_template("domain.firmware.uuid", uuid).set_template("domain.firmware.serial", serial)
    }

    /// Adds a TPM that keeps its state.
    #[must_use]
    pub fn with_persistent_tpm(self) -> Self {
        self.set_template("domain.devices.tpm", json!({"persistent": true}))
    }

    fn with_interface(self, name: &str, mut network: Value, mut interface: Value, mac: &str) -> Self {
        network["name"] = name.into();
        interface["name"] = name.into();
        if !mac.is_empty() {
            interface["macAddress"] = mac.into();
        }
        self.push_template("networks", network).push_template("domain.devices.interfaces", interface)
    }
}
