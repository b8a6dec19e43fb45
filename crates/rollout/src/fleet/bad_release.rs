//! What a bad release does to a fleet.

use super::*;

/// The share of a ramp's first machines at that time, in thousandths.
fn share(waves: &Waves, at: Time) -> u64 {
    (0..1000)
        .filter(|n| waves.eligible(crate::waves::Seed((n * (u64::from(u32::MAX) / 1000)) as u32)) <= at)
        .count() as u64
}

/// A week's ramp of a release that fails on so many thousandths of the fleet; the publisher pauses when more than a
/// tenth of at least twenty reports are bad. Returns how many machines it met, and on how many it failed.
fn bad_release(bad: u32) -> (usize, usize) {
    let mut manifest = fixture::manifest(&["1.0.0", "1.1.0"]);
    let week = ramp(START, &[(1, 10), (4, 50), (24, 150), (48, 400), (96, 600), (120, 900), (144, 1000)]);
    manifest.releases[1].waves = week.clone();
    let mut fleet = Fleet::new(bad, manifest.clone());
    let end = START.after(Duration::from_secs(144 * HOUR));
    let alarm = fleet.run(end, |fleet, now| {
        let [failed, blessed] =
            [&fleet.failed, &fleet.blessed].map(|times| times.partition_point(|&at| at <= now));
        failed >= 20 && failed * 10 > failed + blessed
    });
    assert!(alarm < end, "nobody noticed");
    let paused = alarm.after(REACTION);
    manifest.paused = true;
    fleet.publish(paused, manifest.clone());
    let calm = fleet.run(paused.after(Duration::from_secs(3 * HOUR)), |_, _| false);

    // Nobody begins later than one poll after the pause, so no more than the ramp's share of that moment.
    let began = fleet.began("1.1.0");
    let last = paused.after(Duration::from_secs(LONGEST_POLL));
    assert!(began.iter().all(|&at| at <= last));
    let most = share(week.as_ref().unwrap(), last) * u64::from(NODES) / 1000;
    // The places are drawn: three standard deviations.
    let bound = most as f64 + 3.0 * (most as f64).sqrt();
    assert!(began.len() as f64 <= bound, "{} began, and the ramp says {most}", began.len());
    assert_eq!(fleet.running("1.1.0"), began.len() - fleet.failed.len());
    assert_eq!(
        fleet.running("1.0.0"),
        NODES as usize - fleet.running("1.1.0"),
        "all others run what they ran"
    );
    let met = (began.len(), fleet.failed.len());

    // The cure goes to everybody, those that the fault met included, over half a day; the bad one to nobody any more.
    let mut cure = fixture::manifest(&["1.0.0", "1.1.0", "1.2.0"]);
    cure.recalled.push(fixture::version("1.1.0"));
    cure.releases[2].waves = ramp(calm, &[(12, 1000)]);
    fleet.publish(calm, cure);
    fleet.run(calm.after(Duration::from_secs(14 * HOUR)), |_, _| false);
    assert_eq!(fleet.began("1.1.0").len(), met.0);
    assert_eq!(fleet.running("1.2.0"), NODES as usize);
    let began = fleet.began("1.2.0");
    assert_eq!(began.len(), NODES as usize, "each of them once");
    let busiest = began.chunk_by(|a, b| a.unix() / HOUR == b.unix() / HOUR).map(<[_]>::len).max().unwrap();
    assert!(busiest < 1000, "{busiest} in one hour, where 833 are the ramp");
    met
}

#[test]
fn a_release_that_fails_everywhere_meets_the_first_wave_alone() {
    let (met, failed) = bad_release(1000);
    assert_eq!(met, failed);
    assert!((100..=250).contains(&met), "{met} of {NODES} machines");
}

#[test]
fn a_release_that_fails_on_some_machines_is_stopped_as_soon() {
    let (met, failed) = bad_release(300);
    assert!((150..=300).contains(&met), "{met} of {NODES} machines");
    assert!((20..=100).contains(&failed), "{failed} of {met}");
}
