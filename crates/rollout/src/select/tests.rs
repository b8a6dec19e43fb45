use super::*;
use crate::{fixture, orders::Pin, waves::Seed};

/// A machine on 1.3.0, long after every wave, that one test changes.
#[derive(Clone)]
struct Machine {
    line: Line,
    running: System,
    orders: Orders,
    deny: DenyList,
    max: Option<OsVersion>,
    epoch: Epoch,
    floor: Option<OsVersion>,
    place: Place,
    now: &'static str,
    slot_bytes: u64,
}

impl Machine {
    fn at(running: &str) -> Self {
        Self {
            line: fixture::manifest(&[]).line(),
            running: fixture::system(running),
            orders: Orders::default(),
            deny: DenyList::default(),
            max: None,
            epoch: Epoch(3),
            floor: None,
            place: Place::Fixed(Seed(1 << 31)),
            now: "2027-01-01T00:00:00Z",
            slot_bytes: 512 << 20,
        }
    }

    fn pinned(mut self, text: &str, downgrade: Downgrade) -> Self {
        self.orders.pin = Some(Pin { version: fixture::version(text), downgrade });
        self
    }

    fn choose(&self, manifest: &Manifest) -> Result<Choice, Fault> {
        let node = Node {
            line: &self.line,
            running: self.running,
            epoch: self.epoch,
            security_floor: self.floor,
            slot_bytes: self.slot_bytes,
            place: self.place,
            max: self.max,
            orders: &self.orders,
            deny: &self.deny,
            now: self.now.parse().unwrap(),
        };
        Trusted::vouched(manifest.clone()).choose(&node)
    }

    /// The version taken, or what is waited for, in words.
    fn goes(&self, manifest: &Manifest) -> String {
        match self.choose(manifest).unwrap() {
            Choice::UpToDate => "up to date".to_owned(),
            Choice::Take(offer) => offer.system.version.to_string(),
            Choice::Wait { version, obstacle } => format!("{version}: {obstacle}"),
            Choice::PinNotOffered(version) => format!("{version} is not offered"),
        }
    }
}

fn denied(text: &str) -> crate::deny::Denial {
    let at = "2026-12-01T00:00:00Z".parse().unwrap();
    crate::deny::Denial {
        system: fixture::system(text),
        class: crate::deny::Class::Panic,
        reason: "kernel panic".into(),
        at,
    }
}

#[test]
fn the_newest_is_taken_with_the_delta_that_fits() {
    let manifest = fixture::manifest(&["1.3.0", "1.4.0", "1.5.0"]);
    let take = |running: &str| match Machine::at(running).choose(&manifest).unwrap() {
        Choice::Take(offer) => (offer.system.version.to_string(), offer.delta.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(take("1.4.0"), ("1.5.0".to_owned(), true));
    assert_eq!(take("1.3.0"), ("1.5.0".to_owned(), false));
    assert_eq!(Machine::at("1.5.0").goes(&manifest), "up to date");
    assert_eq!(Machine::at("1.6.0").goes(&manifest), "up to date", "never back by itself");
}

#[test]
fn stepping_stones_are_stepped_on_in_order() {
    let mut manifest = fixture::manifest(&["1.0.0", "1.5.0", "2.0.0", "2.5.0", "3.0.0", "4.0.0"]);
    manifest.releases[2].barrier = true;
    manifest.releases[4].barrier = true;
    manifest.releases[2].min_from = Some(fixture::version("1.2.0"));
    let path = |machine: Machine, manifest: &Manifest| {
        let mut machine = machine;
        let mut path = Vec::new();
        while let Choice::Take(offer) = machine.choose(manifest).unwrap() {
            machine.running = offer.system;
            path.push(offer.system.version.to_string());
        }
        path
    };
    assert_eq!(path(Machine::at("1.0.0"), &manifest), ["1.5.0", "2.0.0", "3.0.0", "4.0.0"]);
    assert_eq!(path(Machine::at("1.2.0"), &manifest), ["2.0.0", "3.0.0", "4.0.0"]);
    assert_eq!(path(Machine::at("2.0.0").pinned("2.5.0", Downgrade::Refuse), &manifest), ["2.5.0"]);
    let pinned = Machine::at("1.2.0").pinned("4.0.0", Downgrade::Refuse);
    assert_eq!(path(pinned, &manifest), ["2.0.0", "3.0.0", "4.0.0"]);
    let mut stuck = Machine::at("2.5.0");
    stuck.deny.add(denied("3.0.0"));
    assert_eq!(stuck.goes(&manifest), "3.0.0: this machine rejected it: kernel panic", "never around it");
    manifest.recalled.push(fixture::version("3.0.0"));
    assert_eq!(stuck.goes(&manifest), "4.0.0", "a stone that was withdrawn is none");
}

#[test]
fn what_stands_against_a_release_is_named() {
    let manifest = fixture::manifest(&["1.3.0", "1.4.0"]);
    let machine = Machine::at("1.3.0");
    let with = |change: &dyn Fn(&mut Machine, &mut Manifest)| {
        let (mut machine, mut manifest) = (machine.clone(), manifest.clone());
        change(&mut machine, &mut manifest);
        machine.goes(&manifest)
    };
    assert_eq!(with(&|_, _| ()), "1.4.0");
    assert_eq!(with(&|_, m| m.recalled.push(fixture::version("1.4.0"))), "1.4.0: it was recalled");
    assert_eq!(
        with(&|_, m| m.security_floor = fixture::version("1.4.1")),
        "1.4.0: it is below the security floor 1.4.1"
    );
    assert_eq!(
        with(&|n, _| n.floor = Some(fixture::version("1.4.1"))),
        "1.4.0: it is below the security floor 1.4.1"
    );
    assert_eq!(with(&|n, _| n.epoch = Epoch(4)), "1.4.0: its epoch 3 is below 4");
    assert_eq!(with(&|n, _| n.deny.add(denied("1.4.0"))), "1.4.0: this machine rejected it: kernel panic");
    assert_eq!(
        with(&|n, _| n.slot_bytes = 1 << 20),
        "1.4.0: it needs a slot of 16777216 bytes, and there are 1048576"
    );
    assert_eq!(
        with(&|_, m| m.releases[1].min_from = Some(fixture::version("1.3.1"))),
        "1.4.0: it can be reached from version 1.3.1 on"
    );
    assert_eq!(
        with(&|n, _| n.max = Some(fixture::version("1.3.9"))),
        "1.4.0: it is above the configured maximum 1.3.9"
    );
    assert_eq!(with(&|n, _| n.orders.hold = Hold::On), "1.4.0: updates are on hold");
    assert_eq!(with(&|_, m| m.paused = true), "1.4.0: the channel is paused");
    assert_eq!(
        with(&|n, _| n.now = "2026-11-21T09:00:00Z"),
        "1.4.0: its wave reaches this machine at 2026-11-21T22:28:26Z"
    );
    assert_eq!(with(&|_, m| m.releases[1].root.hash = fixture::system("1.3.0").root), "up to date");
}

#[test]
fn urgency_goes_past_wave_and_hold_and_nothing_else() {
    let mut manifest = fixture::manifest(&["1.3.0", "1.4.0"]);
    let mut machine = Machine::at("1.3.0");
    machine.orders = Orders { hold: Hold::On, urgency: Urgency::Now, pin: None };
    machine.now = "2026-11-21T09:00:00Z";
    assert_eq!(machine.goes(&manifest), "1.4.0");
    manifest.paused = true;
    assert_eq!(machine.goes(&manifest), "1.4.0: the channel is paused");
    machine.deny.add(denied("1.4.0"));
    assert_eq!(machine.goes(&manifest), "1.4.0: this machine rejected it: kernel panic");
}

#[test]
fn the_newest_whose_wave_has_come_is_taken_and_the_next_time_is_told() {
    let mut manifest = fixture::manifest(&["1.3.0", "1.4.0", "1.5.0"]);
    manifest.releases[2].waves.as_mut().unwrap().start = "2026-11-22T09:00:00Z".parse().unwrap();
    let mut machine = Machine::at("1.3.0");
    for (now, goes) in [
        ("2026-11-21T09:00:00Z", "1.4.0: its wave reaches this machine at 2026-11-21T22:28:26Z"),
        ("2026-11-21T22:28:26Z", "1.4.0"),
        ("2026-11-22T22:28:26Z", "1.5.0"),
    ] {
        machine.now = now;
        assert_eq!(machine.goes(&manifest), goes);
    }
    machine.deny.add(denied("1.5.0"));
    assert_eq!(machine.goes(&manifest), "1.4.0", "a rejected release does not keep an older one away");
}

#[test]
fn a_pin_is_gone_to_and_stayed_at() {
    let mut manifest = fixture::manifest(&["1.2.0", "1.3.0", "1.4.0", "1.5.0"]);
    let goes =
        |manifest: &Manifest, pin, downgrade| Machine::at("1.3.0").pinned(pin, downgrade).goes(manifest);
    assert_eq!(goes(&manifest, "1.4.0", Downgrade::Refuse), "1.4.0");
    assert_eq!(goes(&manifest, "1.3.0", Downgrade::Refuse), "up to date");
    assert_eq!(goes(&manifest, "1.9.0", Downgrade::Refuse), "1.9.0 is not offered");
    assert_eq!(goes(&manifest, "1.2.0", Downgrade::Refuse), "1.2.0: it is lower than the running version");
    assert_eq!(goes(&manifest, "1.2.0", Downgrade::Allow), "1.2.0");
    manifest.security_floor = fixture::version("1.2.5");
    assert_eq!(goes(&manifest, "1.2.0", Downgrade::Allow), "1.2.0: it is below the security floor 1.2.5");
}

#[test]
fn a_manifest_that_cannot_be_meant_is_reported() {
    let mut manifest = fixture::manifest(&["1.3.0", "1.4.0"]);
    let mut machine = Machine::at("1.3.0");
    machine.running.root = fixture::system("9.9.9").root;
    let fault = machine.choose(&manifest).unwrap_err();
    assert!(matches!(fault, Fault::Republished { got, .. } if got == fixture::system("1.3.0").root));
    manifest.arch = "aarch64".parse().unwrap();
    let fault = machine.choose(&manifest).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the manifest is for hello stable aarch64; this machine follows hello stable x86_64"
    );
}

#[test]
fn a_release_stands_until_it_is_withdrawn() {
    let manifest = fixture::manifest(&["1.3.0", "1.4.0"]);
    let system = fixture::system("1.4.0");
    let standing = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        Trusted::vouched(manifest).standing(system, None)
    };
    assert_eq!(standing(&|_| ()), Standing::Offered);
    assert_eq!(standing(&|m| m.paused = true), Standing::Paused);
    for withdraw in [
        &(|m: &mut Manifest| m.recalled.push(fixture::version("1.4.0"))) as &dyn Fn(&mut Manifest),
        &|m| drop(m.releases.pop()),
        &|m| m.releases[1].root.hash = fixture::system("9.9.9").root,
        &|m| m.security_floor = fixture::version("1.4.1"),
    ] {
        assert_eq!(standing(withdraw), Standing::Withdrawn);
    }
}
