//! podman and conmon with this runtime: run, exec, pause, logs, stop, terminals, errors.
//!
//! In a mount namespace of its own, where cgroup2 is all there is, as on the machines this is for: podman would look for the other
//! kind. Limits are left out, whose controllers a host may have given to that.

use std::{path::Path, process::Command};

const SCRIPT: &str = r#"
set -eu
mount --make-rprivate /
[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || { umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }
cd "$1"
cat > containers.conf <<EOF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["coracle-runtime"]
[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
EOF
export CONTAINERS_CONF="$PWD/containers.conf"
mkdir -p root/bin
cp /bin/busybox root/bin/
for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "root/bin/$name"; done
podman() { command podman --root "$PWD/store" --runroot "$PWD/run" --storage-driver vfs --runtime "$RUNTIME" "$@"; }
said() { [ "$2" = "$3" ] || { echo "$1: '$2' is not '$3'"; exit 1; }; }
tar -C root -c . | podman import -q - localhost/busybox > import.log

said run "$(podman run --rm --network none localhost/busybox echo hello)" hello
said filter "$(podman run --rm --network none localhost/busybox grep ^Seccomp: /proc/1/status | cut -f2)" 2
podman run -d --name w --network none localhost/busybox sh -c 'trap "echo bye; exit 0" TERM; echo begun; while :; do sleep 0.1; done' > w.log
said exec "$(podman exec w head -c 2 /proc/1/cmdline)" sh
podman exec w sh -c 'exit 5' && exit 1 || said code $? 5
podman top w > top.log
podman pause w > pause.log
said paused "$(podman inspect -f '{{.State.Status}}' w)" paused
podman unpause w > unpause.log
podman stop -t 30 w > stop.log
said logs "$(podman logs w | tr '\n' ' ')" 'begun bye '
podman rm w > rm.log
said terminal "$(podman run --rm -t --network none localhost/busybox tty | tr -d '\r')" /dev/pts/0
podman run --rm --network none localhost/busybox nowhere 2> nowhere.log && exit 1 || said code $? 127
podman run --rm --network none localhost/busybox /bin 2> forbidden.log && exit 1 || said code $? 126
podman run --rm --network none --uidmap 0:100000:1000 --gidmap 0:100000:1000 localhost/busybox cat /proc/self/uid_map | tr -s ' ' > map.log
said map "$(cat map.log)" ' 0 100000 1000'
said left "$(podman ps -aq)" ''
"#;

#[test]
fn containers_live_as_podman_expects() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut podman = Command::new("timeout");
    podman.args(["-k", "10", "300", "unshare", "-m", "bash", "-c", SCRIPT, "bash"]).arg(folder.path());
    podman.env("RUNTIME", Path::new(env!("CARGO_BIN_EXE_coracle-runtime")));
    let done = podman.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}\n{}", text(&done.stdout), text(&done.stderr));
}
