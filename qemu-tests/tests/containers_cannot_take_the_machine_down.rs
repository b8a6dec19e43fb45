//! Whatever a container does to itself or, where its manifest lets it, to others: PID 1 goes on and starts again what ended.

use std::net::SocketAddr;

use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};
use serde_json::Value;

const BOOT: u64 = 180;
const CONFINED: u16 = 8080;
const FREE: u16 = 8081;

struct Scene {
    machine: Machine,
    confined: SocketAddr,
    free: SocketAddr,
    specimen: Specimen,
}

impl Scene {
    fn new() -> Result<Self, Error> {
        let specimen = Specimen::new("test")?;
        let mut machine = Machine::start(specimen.direct("")?.forward(CONFINED).forward(FREE))?;
        for pod in ["confined", "free"] {
            machine.wait_for(&format!("{pod}: payload: serving"), Deadline::seconds(BOOT))?;
        }
        let (confined, free) = (machine.forwarded(CONFINED)?, machine.forwarded(FREE)?);
        for address in [confined, free] {
            http::get(address, "/", Deadline::seconds(BOOT))?;
        }
        machine.console().refresh()?;
        machine.console().skip();
        Ok(Self { machine, confined, free, specimen })
    }

    /// Asks a pod for a fault, once.
    fn provoke(&self, pod: SocketAddr, fault: &str) -> Result<(), Error> {
        let response = http::get_once(pod, fault, Deadline::seconds(BOOT))?;
        assert_eq!(response.status, 200, "{fault}: {}", response.text());
        Ok(())
    }

    /// The pod ends for this reason, is started again, and answers.
    fn restarts(&mut self, pod: &str, address: SocketAddr, reason: &str) -> Result<(), Error> {
        let line = self.machine.wait_for(&format!("coracle: ended name={pod}"), Deadline::seconds(BOOT))?;
        assert!(line.contains(reason), "{line}");
        self.machine.wait_for(&format!("{pod}: payload: serving"), Deadline::seconds(BOOT))?;
        http::get(address, "/", Deadline::seconds(BOOT)).map(drop)
    }

    /// The machine still goes down in order: PID 1 has its wits together.
    fn ends_well(mut self) -> Result<(), Error> {
        assert_eq!(self.machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
        self.specimen.disk()?.check_state()
    }

    fn processes(&self) -> Result<Vec<Value>, Error> {
        let list = http::get(self.free, "/processes", Deadline::seconds(BOOT))?;
        Ok(serde_json::from_slice(&list.body).unwrap())
    }
}

#[test]
fn a_container_out_of_memory_ends_alone() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    scene.provoke(scene.confined, "/exhaust-memory")?;
    scene.restarts("confined", scene.confined, "memory")?;
    assert!(scene.machine.console().find("ended name=free").is_none());
    scene.ends_well()
}

#[test]
fn a_fork_bomb_stays_within_its_limit() -> Result<(), Error> {
    let scene = Scene::new()?;
    scene.provoke(scene.confined, "/fork-bomb?seconds=5")?;
    let watch = Deadline::seconds(5);
    let mut most = 0;
    while watch.pause() {
        let processes = scene.processes()?;
        most = most.max(processes.iter().filter(|one| one["name"] == "exe").count());
    }
    // The bomb's processes run `/proc/self/exe`; the server itself, which started the first, has its program's name.
    assert!((16..=31).contains(&most), "{most} processes at most");
    http::get(scene.confined, "/", Deadline::seconds(BOOT))?;
    scene.ends_well()
}

#[test]
fn a_fork_bomb_without_a_limit_leaves_the_host_room() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    scene.provoke(scene.free, "/fork-bomb?seconds=20")?;
    std::thread::sleep(std::time::Duration::from_secs(10));
    // Meanwhile the host starts a process: the other pod's next attempt.
    scene.provoke(scene.confined, "/exit?code=3")?;
    scene.machine.wait_for("coracle: ended name=confined", Deadline::seconds(BOOT))?;
    scene.machine.wait_for("coracle: running name=confined", Deadline::seconds(BOOT))?;
    assert!(scene.machine.console().find("ended name=netd").is_none());
    scene.ends_well()
}

#[test]
fn ten_thousand_orphans_are_reaped() -> Result<(), Error> {
    let scene = Scene::new()?;
    scene.provoke(scene.free, "/orphans?n=10000&batch=1000")?;
    let deadline = Deadline::seconds(BOOT);
    loop {
        let processes = scene.processes()?;
        let zombies = processes.iter().filter(|one| one["state"] == "Z").count();
        if zombies == 0 {
            break;
        }
        assert!(deadline.pause(), "{zombies} zombies are left");
    }
    scene.ends_well()
}

#[test]
fn kill_everything_from_a_privileged_container() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    for _ in 0..3 {
        scene.machine.console().refresh()?;
        scene.machine.console().skip();
        scene.provoke(scene.free, "/kill-all")?;
        scene.restarts("confined", scene.confined, "signal 9")?;
        scene.machine.wait_for("coracle: ended name=netd", Deadline::seconds(BOOT))?;
        scene.machine.wait_for("coracle: running name=netd", Deadline::seconds(BOOT))?;
    }
    assert!(scene.machine.console().find("ended name=free").is_none(), "a process spares itself");
    scene.ends_well()
}

#[test]
fn a_flood_of_output_drowns_nobody() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    scene.provoke(scene.confined, "/flood-output?mib=64")?;
    for _ in 0..20 {
        http::get(scene.free, "/", Deadline::seconds(BOOT))?;
    }
    scene.machine.console().refresh()?;
    let printed = scene.machine.console().text().len();
    assert!(printed < 4 << 20, "{printed} bytes on the console");
    scene.ends_well()
}

#[test]
fn a_container_that_does_not_end_is_killed_after_its_grace() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    scene.provoke(scene.confined, "/stubborn")?;
    scene.machine.monitor().system_powerdown()?;
    scene.machine.wait_for("coracle: killed after its grace name=confined", Deadline::seconds(BOOT))?;
    assert_eq!(scene.machine.wait_exit(Deadline::seconds(BOOT))?, Exit::PowerOff);
    scene.specimen.disk()?.check_state()
}
