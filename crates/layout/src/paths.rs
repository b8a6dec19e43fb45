//! Where things are in the root filesystem, and on what persists.

/// The program that is stage 1 and PID 1, in the initramfs: there `/init` leads to it.
pub const INIT: &str = "/sbin/init";
/// Start plans of the services of the host, `NAME.plan`.
pub const SERVICES: &str = "/usr/share/coracle/services";
/// Start plans of the embedded pods, `NAME.plan`.
pub const PODS: &str = "/usr/share/coracle/pods";
/// Unpacked embedded images, one folder an image.
pub const IMAGES: &str = "/usr/share/coracle/images";
/// Extension of a start plan.
pub const PLAN_EXTENSION: &str = "plan";
/// The most start plans in one folder: the builder refuses more, PID 1 starts no more.
pub const MAX_PLANS: usize = 512;
/// Where the state partition is mounted; everything else is read-only or gone with the power.
pub const STATE: &str = "/var";
/// User and group that may write on where the state partition is full. Not user 0: as that one writes what containers do in their
/// layers, by overlayfs.
pub const STATE_RESERVE: u32 = 992;
/// What PID 1 keeps across boots: machine identifier, crash records.
pub const STATE_INIT: &str = "/var/lib/coracle/init";
/// Writable layers of containers, `NAME/ATTEMPT`.
pub const STATE_CONTAINERS: &str = "/var/lib/coracle/containers";
/// What PID 1 tells other programs about this boot.
pub const RUN: &str = "/run/coracle";
/// What stage 1 tells PID 1, `key=value` a line.
pub const STAGE1_FACTS: &str = "/run/coracle/stage1";
/// What the network process tells other programs: `resolv.conf`, `status`.
pub const RUN_NETD: &str = "/run/netd";
/// Its name servers. `/etc/resolv.conf` leads here, and containers are shown this very file: it is there before anything is
/// started, and is written in place.
pub const RESOLV_CONF: &str = "/run/netd/resolv.conf";
/// Where PID 1 takes what the updater wants of it.
pub const CONTROL: &str = "/run/coracle/control";
/// How the image wants its machine kept up to date: settings, trusted root, certificates. Without it there is no updater.
pub const UPDATE: &str = "/usr/share/coracle/update";
/// In [`UPDATE`]: the settings, as `coracle_rollout::Settings` writes them.
pub const UPDATE_SETTINGS: &str = "settings.json";
/// In [`UPDATE`]: the root metadata that trust begins with.
pub const UPDATE_ROOT: &str = "root.json";
/// In [`UPDATE`]: certificates, in PEM, of the authorities that a server's may come from. Not always there.
pub const UPDATE_AUTHORITIES: &str = "authorities.pem";
/// In [`UPDATE`]: the boot manager that belongs to this image.
pub const UPDATE_LOADER: &str = "systemd-bootx64.efi";
/// What the updater keeps across boots.
pub const STATE_UPDATER: &str = "/var/lib/coracle/updater";
/// What the updater tells other programs; its socket for the operator.
pub const RUN_UPDATER: &str = "/run/updater";
/// Where the updater's part that talks to servers takes requests.
pub const FETCH: &str = "/run/fetch/socket";
/// The virtio serial port at which the updater listens for the machine's owner.
pub const OPERATOR_PORT: &str = "org.coracle.update";
