//! Configurations that cannot be honoured: named, and nothing is left.

use serde_json::{Value, json};

use crate::harness::Bundle;

/// What it is, how a configuration is changed for it, and what the error names.
type Case = (&'static str, fn(&mut Value), &'static str);

#[test]
fn what_cannot_be_honoured_is_named() {
    let cases: &[Case] = &[
        (
            "no process",
            |config| drop(config.as_object_mut().unwrap().remove("process")),
            "process is missing",
        ),
        ("no arguments", |config| config["process"]["args"] = json!([]), "process.args is missing"),
        ("no root", |config| drop(config.as_object_mut().unwrap().remove("root")), "root is missing"),
        ("a root that is not there", |config| config["root"]["path"] = json!("x"), "root.path"),
        ("a relative folder", |config| config["process"]["cwd"] = json!("tmp"), "process.cwd"),
        ("apparmor", |config| config["process"]["apparmorProfile"] = json!("x"), "process.apparmorProfile"),
        ("selinux", |config| config["process"]["selinuxLabel"] = json!("x"), "process.selinuxLabel"),
        ("a mount label", |config| config["linux"]["mountLabel"] = json!("x"), "linux.mountLabel"),
        ("intel rdt", |config| config["linux"]["intelRdt"] = json!({}), "linux.intelRdt"),
        (
            "no mount namespace",
            |config| config["linux"]["namespaces"] = json!([{"type": "pid"}]),
            "mount namespace",
        ),
        (
            "twice",
            |config| config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "pid"})),
            "twice",
        ),
        (
            "a namespace that is not there",
            |config| config["linux"]["namespaces"][0]["path"] = json!("/not-there"),
            "/not-there",
        ),
        (
            "a namespace of another kind",
            |config| config["linux"]["namespaces"][1]["path"] = json!("/proc/self/ns/ipc"),
            "",
        ),
        ("no namespace", |config| config["linux"]["namespaces"][1]["path"] = json!("/dev/null"), ""),
        (
            "a limit twice",
            |config| {
                let limit = json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0});
                config["process"]["rlimits"] = json!([limit, limit]);
            },
            "process.rlimits",
        ),
        (
            "a propagation",
            |config| config["linux"]["rootfsPropagation"] = json!("x"),
            "linux.rootfsPropagation",
        ),
        ("a capability", |config| config["process"]["capabilities"]["bounding"] = json!(["CAP_X"]), "CAP_X"),
        (
            "a clock",
            |config| config["linux"]["timeOffsets"] = json!({"realtime": {"secs": 1}}),
            "linux.timeOffsets",
        ),
        ("another system", |config| config["windows"] = json!({"layerFolders": []}), "windows"),
        ("a score", |config| config["process"]["oomScoreAdj"] = json!(5000), "process.oomScoreAdj"),
        ("a byte in a name", |config| config["hostname"] = json!("a\u{0}b"), "hostname"),
        ("a type", |config| config["process"]["args"] = json!("sh"), "config.json"),
        ("a version", |config| config["ociVersion"] = json!("2.0.0"), "2.0.0"),
    ];
    for (name, change, why) in cases {
        let bundle = Bundle::new(&["true"]);
        bundle.edit(change);
        let said = bundle.run();
        assert_ne!(said.code, Some(0), "{name}");
        assert!(said.err.contains(why), "{name}: {said:?}");
        bundle.assert_gone();
    }
}

#[test]
fn what_is_not_known_is_ignored_and_said() {
    let bundle = Bundle::new(&["echo", "runs"]);
    bundle.edit(|config| config["linux"]["resources"]["memry"] = json!({"limit": 1}));
    let said = bundle.run();
    assert!(said.err.contains("linux.resources.memry is not known"), "{said:?}");
    assert_eq!(said.ok(), "runs\n");
}

#[test]
fn errors_come_to_the_log_as_it_was_asked_for() {
    let bundle = Bundle::new(&["nowhere"]);
    let log = bundle.path().join("log");
    let words = ["--log-format=json", "--log", log.to_str().unwrap(), "create", bundle.id()];
    assert_ne!(bundle.say(&words).code, Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("No such file or directory") && line["time"].is_string());
}

#[test]
fn an_example_is_not_written_over_a_configuration() {
    let bundle = Bundle::new(&["true"]);
    bundle.say(&["spec"]).refused("config.json");
}

#[test]
fn features_are_what_the_specification_calls_them() {
    let bundle = Bundle::new(&["true"]);
    let features: Value = serde_json::from_str(&bundle.say(&["features"]).ok()).unwrap();
    serde_json::from_value::<oci_spec::runtime::Features>(features.clone()).unwrap();
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rro")));
}
