//! `linux.seccomp`.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Bundle, wait};

/// Answers the first call it is asked about with errno 55, and says what it was told of the process.
const AGENT: &str = r#"
import array, ctypes, fcntl, json, os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen(); print("listening", flush=True)
for _ in range(int(sys.argv[2])):
    peer = listener.accept()[0]
    text, rights, _, _ = peer.recvmsg(65536, 1024)
    (descriptor,) = array.array("i", rights[0][2])
    told = json.loads(text)
    asked = bytearray(80)
    fcntl.ioctl(descriptor, 0xC0502100, asked)  # SECCOMP_IOCTL_NOTIF_RECV
    id, pid = struct.unpack_from("=QI", asked)
    fcntl.ioctl(descriptor, 0xC0182101, struct.pack("=QqiI", id, 0, -55, 0))  # SECCOMP_IOCTL_NOTIF_SEND
    print(told["metadata"], told["fds"][0], told["state"]["status"], told["pid"] == pid, flush=True)
"#;

fn filtered(bundle: &Bundle, rule: Value, change: impl FnOnce(&mut Value)) {
    bundle.edit(|config| {
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [rule]});
        change(config);
    });
}

#[test]
fn a_call_fails_as_the_filter_says_with_and_without_new_privileges() {
    for no_new_privs in [true, false] {
        let bundle =
            Bundle::script("mkdir /tmp/x 2>&1 || true; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status");
        let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28});
        filtered(&bundle, rule, |config| config["process"]["noNewPrivileges"] = json!(no_new_privs));
        let want = format!(
            "mkdir: can't create directory '/tmp/x': No space left on device\nNoNewPrivs:\t{}\nSeccomp:\t2\n",
            u8::from(no_new_privs)
        );
        assert_eq!(bundle.run().ok(), want);
    }
}

#[test]
fn who_joins_has_the_same_filter() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28});
    filtered(&bundle, rule, |_| {});
    bundle.start();
    bundle.exec(&["mkdir", "/tmp/x"]).refused("No space left");
}

#[test]
fn an_agent_is_asked() {
    let bundle = Bundle::new(&["mkdir", "/tmp/x"]);
    let socket = bundle.path().join("agent");
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"});
    filtered(&bundle, rule, |config| {
        // No folder is to be made before the program runs: the filter is there already.
        config["linux"]["seccomp"]["listenerPath"] = json!(socket);
        config["linux"]["seccomp"]["listenerMetadata"] = json!("of-the-test");
    });
    let mut agent = Command::new("python3");
    agent.args(["-c", AGENT]).arg(&socket).arg("1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let agent = agent.spawn().unwrap();
    crate::harness::wait_for(|| socket.exists());
    bundle.run().refused("No anode");
    let end = wait(agent);
    let said = String::from_utf8_lossy(&end.stdout).into_owned();
    assert_eq!(said, "listening\nof-the-test seccompFd creating True\n", "{end:?}");
}

#[test]
fn an_agent_that_is_not_there_is_said() {
    let bundle = Bundle::new(&["true"]);
    filtered(&bundle, json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}), |config| {
        config["linux"]["seccomp"]["listenerPath"] = json!("/nowhere/agent");
    });
    bundle.run().refused("/nowhere/agent");
    bundle.assert_gone();
    let bundle = Bundle::new(&["true"]);
    filtered(&bundle, json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}), |_| {});
    bundle.run().refused("linux.seccomp.listenerPath is missing");
}
