//! PID 1 does what the host's root asks at its control socket, and nothing that anybody else asks.

use std::net::SocketAddr;

use coracle_layout::control::{self, Assessment, Kind, Phase, State, Status};
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};

const BOOT: u64 = 180;
const FREE: u16 = 8081;
/// The payload once more, outside of every pod: it stays when they end.
const APART: u16 = 8082;

struct Scene {
    machine: Machine,
    apart: SocketAddr,
    specimen: Specimen,
}

impl Scene {
    fn new() -> Result<Self, Error> {
        let specimen = Specimen::new("test")?;
        let mut machine = Machine::start(specimen.direct("")?.forward(FREE).forward(APART))?;
        for pod in ["confined", "free"] {
            machine.wait_for(&format!("{pod}: payload: serving"), Deadline::seconds(BOOT))?;
        }
        let (free, apart) = (machine.forwarded(FREE)?, machine.forwarded(APART)?);
        http::get(free, "/", Deadline::seconds(BOOT))?;
        http::get_once(free, &format!("/apart?port={APART}"), Deadline::seconds(BOOT))?;
        http::get(apart, "/", Deadline::seconds(BOOT))?;
        Ok(Self { machine, apart, specimen })
    }

    fn ask(&self, path: &str) -> Result<String, Error> {
        let response = http::get_once(self.apart, path, Deadline::seconds(BOOT))?;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        Ok(response.text())
    }

    fn order(&self, request: &str) -> Result<(), Error> {
        assert_eq!(self.ask(&format!("/say?text={request}"))?, "ok\n", "{request}");
        Ok(())
    }

    fn status(&self) -> Result<Status, Error> {
        let answer = self.ask("/say?text=status")?;
        Ok(control::answer(&answer).expect("an answer").parse().expect("a status"))
    }

    /// After a crowd: as soon as what it left has been cleared away, there is room again.
    fn until_heard(&self) -> Result<(), Error> {
        let deadline = Deadline::seconds(BOOT);
        while http::get_once(self.apart, "/visit?n=1", deadline)?.status != 200 {
            assert!(deadline.pause(), "PID 1 listens to nobody any more");
        }
        Ok(())
    }

    /// Asks until the status is as it should be.
    fn wait(&self, what: &str, is_there: impl Fn(&Status) -> bool) -> Result<Status, Error> {
        let deadline = Deadline::seconds(BOOT);
        loop {
            let status = self.status()?;
            if is_there(&status) {
                return Ok(status);
            }
            assert!(deadline.pause(), "{what}: {status:?}");
        }
    }
}

/// Whether every pod is in this phase, and every service runs.
fn pods_are(phase: Phase) -> impl Fn(&Status) -> bool {
    move |status| {
        let of = |kind| status.units.iter().filter(move |unit| unit.kind == kind);
        assert_eq!((of(Kind::Pod).count(), of(Kind::Service).count()), (2, 1), "{status:?}");
        of(Kind::Pod).all(|unit| unit.phase == phase)
            && of(Kind::Service).all(|unit| unit.phase == Phase::Running)
    }
}

#[test]
fn pods_end_and_start_by_order_while_services_stay_and_a_reboot_is_orderly() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    let before = scene.wait("all run", pods_are(Phase::Running))?;
    assert_eq!(before.state, State::Mounted);
    // Off trial the units say when a boot is good; being told so before changes nothing, nor does it a second time.
    scene.order("good")?;
    scene.order("good")?;
    assert_eq!(scene.status()?.assessment, Assessment::Good);

    scene.order("drain")?;
    let drained = scene.wait("the pods end", pods_are(Phase::Ended))?;
    let netd =
        |status: &Status| status.units.iter().find(|unit| unit.name == "netd").map(|unit| unit.seconds);
    assert!(netd(&drained) >= netd(&before), "{drained:?}: a service was started again");
    scene.order("drain")?;
    assert!(pods_are(Phase::Ended)(&scene.status()?));

    scene.machine.console().refresh()?;
    scene.machine.console().skip();
    scene.order("undrain")?;
    for pod in ["confined", "free"] {
        scene.machine.wait_for(&format!("{pod}: payload: serving"), Deadline::seconds(BOOT))?;
    }
    scene.wait("the pods run again", pods_are(Phase::Running))?;

    scene.order("reboot")?;
    scene.machine.wait_for("shutting down how=Reboot why=\"the updater\"", Deadline::seconds(BOOT))?;
    assert_eq!(scene.machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let text = scene.machine.console().text();
    assert_eq!(text.matches("coracle: boot is good").count(), 1);
    assert!(text.contains("coracle: going down how=Reboot"), "{}", scene.machine.console().tail());
    scene.specimen.disk()?.check_state()
}

#[test]
fn strangers_crowds_and_garbage_do_no_harm() -> Result<(), Error> {
    let mut scene = Scene::new()?;
    assert_eq!(scene.ask("/say?text=drain&uid=1000")?, "", "closed without a word");
    scene.machine.wait_for("coracle: order refused: not from root", Deadline::seconds(BOOT))?;
    assert_eq!(scene.ask("/say?text=obey")?, "error not a request");
    assert_eq!(scene.ask(&format!("/say?text={}", "status".repeat(100)))?, "error not a request");
    scene.ask("/visit?n=1000")?;
    scene.ask("/flood-orders?n=1000")?;
    scene.until_heard()?;
    let status = scene.wait("all still run", pods_are(Phase::Running))?;
    assert_eq!(status.units.len(), 3);
    let text = scene.machine.console().text();
    assert!(!text.contains("coracle: ended name="), "{}", scene.machine.console().tail());
    assert_eq!(scene.machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    scene.specimen.disk()?.check_state()
}
