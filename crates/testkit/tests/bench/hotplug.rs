//! Disks that are plugged into a running machine.

use anyhow::Context as _;
use serde_json::{Value, json};
use vmrewind_testkit::actors::Kind;
use vmrewind_testkit::bench::shapes::{self, FAST};
use vmrewind_testkit::bench::{named, run, shared, vm};

use super::all_of_a_kind;

fn volume_status<'a>(vmi: Option<&'a Value>, volume: &str) -> Option<&'a Value> {
    vmi?["status"]["volumeStatus"].as_array()?.iter().find(|status| status["name"] == volume)
}

#[test]
fn a_plugged_disk_gets_a_pod_beside_the_launcher_and_an_unplugged_one_loses_it() {
    run(async {
        let (bench, ns) = (shared(), "plugged");
        bench.namespace(ns).await?;
        bench.create_all(&shapes::with_template_disk(ns, "host")).await?;
        bench.create(&shapes::claim(ns, "extra", FAST)).await?;
        let before = bench.wait_running(ns, "host").await?;
        let mut plugged = before["spec"]["template"]["spec"].clone();
        let lists = ["/volumes", "/domain/devices/disks"];
        let added = [
            json!({"name": "extra", "persistentVolumeClaim": {"claimName": "extra", "hotpluggable": true}}),
            json!({"name": "extra", "disk": {"bus": "scsi"}}),
        ];
        for (list, item) in lists.iter().zip(added) {
            plugged.pointer_mut(list).and_then(Value::as_array_mut).context("a list")?.push(item);
        }
        bench.patch(&vm(ns, "host"), &json!({"spec": {"template": {"spec": plugged}}})).await?;
        let instance = named(Kind::Vmi, ns, "host");
        let ready = |vmi: Option<&Value>| volume_status(vmi, "extra").is_some_and(|status| status["phase"] == "Ready");
        let vmi = bench.wait(&instance, "the disk is ready", ready).await?;
        let status = volume_status(vmi.as_ref(), "extra").context("a status")?;
        let holder = status["hotplugVolume"]["attachPodName"].as_str().context("a pod")?;
        let holder = bench.get(&named(Kind::Pod, ns, holder)).await?.context("the pod")?;
        assert_eq!(status["hotplugVolume"]["attachPodUID"], holder["metadata"]["uid"]);
        assert_eq!(holder["metadata"]["labels"], json!({"kubevirt.io": "hotplug-disk"}));
        let pods = all_of_a_kind(bench, Kind::Pod, ns).await?;
        let launcher = pods.iter().find(|pod| pod["metadata"]["labels"]["kubevirt.io"] == "virt-launcher");
        let launcher = launcher.context("a launcher")?;
        assert_eq!(super::owner_uid(&holder), launcher["metadata"]["uid"].as_str().context("a uid")?);
        assert_eq!(holder["spec"]["nodeName"], launcher["spec"]["nodeName"]);
        let machine = bench.get(&vm(ns, "host")).await?.context("the machine")?;
        let conditions = machine["status"]["conditions"].as_array().context("conditions")?;
        assert!(conditions.iter().all(|c| c["type"] != "RestartRequired"), "no restart is needed: {conditions:?}");

        bench
            .patch(&vm(ns, "host"), &json!({"spec": {"template": {"spec": before["spec"]["template"]["spec"]}}}))
            .await?;
        let holder = holder["metadata"]["name"].as_str().context("a name")?;
        bench.wait_gone(&named(Kind::Pod, ns, holder)).await?;
        let vmi = bench.wait(&instance, "without the disk", |vmi| volume_status(vmi, "extra").is_none()).await?;
        let volumes = vmi.context("the instance")?["spec"]["volumes"].clone();
        assert!(volumes.as_array().is_some_and(|all| all.iter().all(|volume| volume["name"] != "extra")), "{volumes}");
        Ok(())
    });
}
