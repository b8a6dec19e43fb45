//! `process`: what the program is and may.

use serde_json::{Value, json};

use crate::harness::Bundle;

fn process(script: &str, change: impl FnOnce(&mut Value)) -> String {
    let bundle = Bundle::script(script);
    bundle.edit(|config| change(&mut config["process"]));
    bundle.run().ok()
}

#[test]
fn each_set_of_capabilities_is_as_described() {
    let shown = process("grep Cap /proc/self/status", |process| {
        process["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_CHROOT"],
            "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_KILL"],
            "inheritable": ["CAP_KILL"],
            "ambient": ["CAP_KILL"],
        });
        process["user"] = json!({"uid": 1, "gid": 1});
    });
    let bits = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    let (chown, kill, chroot) = (1, 1 << 5, 1 << 18);
    assert_eq!((bits("CapBnd"), bits("CapInh"), bits("CapAmb")), (chown | kill | chroot, kill, kill));
    assert_eq!((bits("CapPrm"), bits("CapEff")), (kill, kill), "a user other than 0 keeps what is ambient");
    let none = process("grep -E 'Cap|NoNew' /proc/self/status | tr -d '\\n\\t'", |process| {
        process.as_object_mut().unwrap().remove("capabilities");
        process["noNewPrivileges"] = json!(false);
    });
    let zero = "0000000000000000";
    assert_eq!(
        none,
        format!("CapInh:{zero}CapPrm:{zero}CapEff:{zero}CapBnd:{zero}CapAmb:{zero}NoNewPrivs:0")
    );
}

#[test]
fn limits_ids_and_preferences_are_as_described() {
    let shown = process(
        "ulimit -n; ulimit -Hn; ulimit -c; umask; id; pwd; cat /proc/self/oom_score_adj",
        |process| {
            process["rlimits"] = json!([
                {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
            ]);
            process["user"] = json!({"uid": 5, "gid": 6, "umask": 0o27, "additionalGids": [7, 8]});
            process["cwd"] = json!("/made/here");
            process["oomScoreAdj"] = json!(500);
        },
    );
    assert_eq!(shown, "100\n200\n0\n0027\nuid=5 gid=6 groups=7,8\n/made/here\n500\n");
}

#[test]
fn processor_and_disk_time_and_personality_are_as_described() {
    // Nice value and policy, as proc_pid_stat(5) has them.
    let script =
        "cut -d' ' -f19,41 /proc/self/stat; ionice -p $$; taskset -p $$ | grep -o '[0-9a-f]*$'; uname -m";
    let bundle = Bundle::script(script);
    bundle.edit(|config| {
        config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 7});
        config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
        config["process"]["execCPUAffinity"] = json!({"final": "0"});
        config["linux"]["personality"] = json!({"domain": "LINUX32"});
    });
    assert_eq!(bundle.run().ok(), "7 3\nbest-effort: prio 6\n1\ni686\n");
}

#[test]
fn clocks_of_its_own_begin_elsewhere() {
    let bundle = Bundle::script("cut -d. -f1 /proc/uptime");
    bundle.edit(|config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
        config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1_000_000_000}});
    });
    let uptime: u64 = bundle.run().ok().trim().parse().unwrap();
    assert!(uptime >= 1_000_000_000, "{uptime}");
}

#[test]
fn settings_of_its_own_namespaces_are_made_and_others_refused() {
    let bundle = Bundle::script(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni; hostname; dnsdomainname -y 2>/dev/null || cat /proc/sys/kernel/domainname",
    );
    bundle.edit(|config| {
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234"});
        config["domainname"] = json!("example");
    });
    let shown = bundle.run().ok();
    assert!(shown.starts_with("1\n1234\ncoracle\n") && shown.contains("example"), "{shown}");
    for name in ["kernel.panic", "vm.swappiness", "net/../kernel/panic"] {
        let bundle = Bundle::new(&["true"]);
        bundle.edit(|config| config["linux"]["sysctl"] = json!({name: "0"}));
        assert_ne!(bundle.run().code, Some(0), "{name}");
        bundle.assert_gone();
    }
}

#[test]
fn a_new_session_keyring_hides_the_callers() {
    for (words, seen) in [(&["run"][..], "1\n"), (&["run", "--no-new-keyring"], "0\n")] {
        let bundle = Bundle::new(&[]);
        bundle.edit(|config| {
            config["linux"]["maskedPaths"] = json!([]);
            config["process"]["args"] =
                json!(["sh", "-c", format!("grep -c _ses.{} /proc/keys", bundle.id())]);
        });
        assert_eq!(bundle.say(&[words, &[bundle.id()]].concat()).out, seen);
    }
}

#[test]
fn only_descriptors_that_were_named_stay_open() {
    for (kept, want) in [("0", "0 1 2 3"), ("2", "0 1 2 3 4 5")] {
        let bundle = Bundle::script("echo $(ls /proc/self/fd)");
        let line = format!(
            "exec {} --root {} run --preserve-fds {kept} {} 3</dev/null 4</dev/zero 9</",
            env!("CARGO_BIN_EXE_coracle-runtime"),
            bundle.states().display(),
            bundle.id()
        );
        let shown =
            std::process::Command::new("sh").args(["-c", &line]).current_dir(bundle.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), want, "{shown:?}");
    }
}
