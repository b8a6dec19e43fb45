//! What a container is given, unless its manifest asks for more: namespaces and users of its own, few capabilities, a
//! filter, no new privileges, its limits, and nothing of the host to see or change. A pod with every right opens none of the
//! host's devices.

use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};
use serde_json::Value;
use std::net::SocketAddr;

const BOOT: u64 = 180;

fn ask(address: SocketAddr, path: &str) -> Result<(u16, String), Error> {
    let response = http::get(address, path, Deadline::seconds(BOOT))?;
    Ok((response.status, response.text()))
}

#[test]
fn a_container_sees_what_it_should() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    // The network that leads nowhere names no server in its leases.
    let words = "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3";
    let mut machine = Machine::start(specimen.direct(words)?.forward(8080).forward(8081))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let (confined, free) = (machine.forwarded(8080)?, machine.forwarded(8081)?);
    let facts: Value = serde_json::from_str(&ask(confined, "/facts")?.1).unwrap();
    let host: Value = serde_json::from_str(&ask(free, "/facts")?.1).unwrap();

    assert_eq!(facts["pid"], 1, "a process namespace of its own");
    for kind in ["mnt", "pid", "user", "ipc", "uts", "cgroup"] {
        assert_ne!(facts["namespaces"][kind], host["namespaces"][kind], "{kind}");
    }
    assert_eq!(facts["namespaces"]["net"], host["namespaces"]["net"], "hostNetwork: true");
    assert_eq!(facts["hostname"], "confined");
    assert_eq!(facts["cgroup"], serde_json::json!(["0::/"]));
    assert_eq!(facts["environment"]["COLOUR"], "blue");
    assert_eq!(facts["uid_map"], "0 65536 65536");

    let status = |name: &str| facts["status"][name].as_str().unwrap().to_owned();
    assert_eq!((status("NoNewPrivs").as_str(), status("Seccomp").as_str()), ("1", "2"));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, SETFCAP
        assert_eq!(status(set), "00000000800425fb", "{set}");
    }
    assert_eq!(
        (status("CapInh").as_str(), status("CapAmb").as_str()),
        ("0000000000000000", "0000000000000000")
    );

    let open: Vec<_> =
        facts["descriptors"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let own = ["signalfd", "socket:", "pipe:", "/dev/null", "/dev/kmsg"];
    assert!(open.iter().all(|line| own[..4].iter().any(|known| line.contains(known))), "{open:?}");

    // It may have been started before the network.
    let deadline = Deadline::seconds(BOOT);
    let names = loop {
        let names = ask(confined, "/read?path=/etc/resolv.conf")?.1;
        if names.contains("nameserver") || !deadline.pause() {
            break names;
        }
    };
    assert!(names.contains("nameserver 10.0.2.3\n"), "{names:?}");

    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware/dmi/tables/DMI"] {
        let (status, body) = ask(confined, &format!("/read?path={path}"))?;
        assert!(status == 404 || body.is_empty(), "{path}: {status} {body:?}");
    }
    let devices = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    let seen: Vec<_> =
        facts["devices"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(seen, devices);
    for path in ["/proc/sys/kernel/panic", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"] {
        let (status, body) = ask(confined, &format!("/write?bytes=1&path={path}"))?;
        assert_eq!(status, 507, "{path}: {body:?}");
    }
    assert_eq!(ask(confined, "/write?bytes=1000000&path=/written")?.0, 200, "its writable layer");

    let disk = ask(free, "/read?path=/sys/class/block/vda/dev")?.1;
    let (major, minor) =
        disk.trim().split_once(':').unwrap_or_else(|| panic!("{disk:?} is no device number"));
    let made = ask(free, &format!("/node?path=/dev/disk&major={major}&minor={minor}"))?;
    assert_eq!(made, (200, "made\n".to_owned()), "every right to make a node");
    let (status, why) = ask(free, "/read?path=/dev/disk")?;
    assert!(status == 404 && why.contains("Operation not permitted"), "the host's disk: {status} {why:?}");
    assert_eq!(ask(free, "/read?path=/dev/null")?, (200, String::new()));
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}
