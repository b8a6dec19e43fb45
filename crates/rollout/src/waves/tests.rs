use proptest::prelude::*;

use super::*;

const SEEDS: u64 = 1 << 16;
const START: Time = Time::from_unix(1_800_000_000);
const HOUR: u32 = 3600;

/// Places at even distances, one for each of 2¹⁶ machines.
fn even() -> impl Iterator<Item = Seed> {
    (0..SEEDS).map(|n| Seed((n << 16) as u32))
}

fn waves(points: &[(u32, u16)]) -> Waves {
    let points = points.iter().map(|&(after_seconds, permille)| Point { after_seconds, permille }).collect();
    Waves { start: START, points }
}

/// An ordinary release: a week, slow at first.
fn week() -> Waves {
    waves(&[
        (HOUR, 10),
        (4 * HOUR, 50),
        (24 * HOUR, 150),
        (48 * HOUR, 400),
        (96 * HOUR, 600),
        (120 * HOUR, 900),
        (144 * HOUR, ALL),
    ])
}

/// The share that should have it by then, the ramp read the other way round.
fn wished(waves: &Waves, seconds: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for point in &waves.points {
        let here = (f64::from(point.after_seconds), f64::from(point.permille) / 1000.0);
        if seconds < here.0 {
            return before.1 + (here.1 - before.1) * (seconds - before.0) / (here.0 - before.0);
        }
        before = here;
    }
    1.0
}

/// Sorted seconds after the start.
fn times(waves: &Waves, seeds: impl Iterator<Item = Seed>) -> Vec<u64> {
    let mut times: Vec<_> = seeds.map(|seed| waves.eligible(seed).since(START).as_secs()).collect();
    times.sort_unstable();
    times
}

/// How far the share of `times` is from the wished one, at worst, at the given seconds.
fn worst(waves: &Waves, times: &[u64], at: impl Iterator<Item = u64>) -> f64 {
    at.map(|second| {
        let share = times.partition_point(|&time| time <= second) as f64 / times.len() as f64;
        (share - wished(waves, second as f64)).abs()
    })
    .fold(0.0, f64::max)
}

fn ramps() -> impl Strategy<Value = Waves> {
    prop::collection::btree_map(1_u32..1_000_000, 0_u16..=ALL, 1..8).prop_map(|points| {
        let mut shares: Vec<_> = points.values().copied().collect();
        shares.sort_unstable();
        let mut points: Vec<_> = points.into_keys().zip(shares).collect();
        points.last_mut().unwrap().1 = ALL;
        waves(&points)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_share_at_any_time_is_the_ramp(waves in ramps(), ticks in 50_u64..200) {
        let times = times(&waves, even());
        let end = u64::from(waves.points.last().unwrap().after_seconds);
        let steepest = std::iter::once((0, 0)).chain(waves.points.iter().map(|p| (p.after_seconds, p.permille)))
            .zip(&waves.points)
            .map(|(a, b)| f64::from(b.permille - a.1) / 1000.0 / f64::from(b.after_seconds - a.0))
            .fold(0.0, f64::max);
        // One machine's share, and what a second's rounding moves.
        let bound = 1.0 / SEEDS as f64 + steepest + 1e-9;
        let got = worst(&waves, &times, (0..=ticks).map(|tick| end * tick / ticks));
        prop_assert!(got <= bound, "{got} > {bound}");
    }

    #[test]
    fn a_later_place_is_never_served_earlier(waves in ramps(), a: u32, b: u32) {
        let (a, b) = (Seed(a.min(b)), Seed(a.max(b)));
        prop_assert!(waves.eligible(a) <= waves.eligible(b));
        prop_assert!(waves.eligible(a) >= waves.start);
    }
}

#[test]
fn no_minute_has_more_than_the_steepest_slope() {
    let times = times(&week(), even());
    let most = times.chunk_by(|a, b| a / 60 == b / 60).map(<[_]>::len).max().unwrap();
    // The steepest are 4 % in 3 hours: 14.6 of 65 536 machines a minute.
    assert!(most <= 16, "{most} machines in one minute");
    assert!(worst(&week(), &times, (0..=144 * 60).map(|minute| minute * 60)) < 0.0001);
}

#[test]
fn drawn_places_follow_the_ramp_too() {
    let version = "1.4.1".parse().unwrap();
    let seeds = (0..SEEDS).map(|n| Seed::drawn(node(n), version));
    let got = worst(&week(), &times(&week(), seeds), (0..=144).map(|hour| hour * 3600));
    // The Kolmogorov bound for 65 536 draws at one in a million is 0.0105.
    assert!(got < 0.0105, "{got}");
}

#[test]
fn each_version_has_other_canaries() {
    let canaries = |version: &str| {
        let version = version.parse().unwrap();
        (0..SEEDS).filter(|&n| Seed::drawn(node(n), version).0 < u32::MAX / 100).collect::<Vec<_>>()
    };
    let (first, second) = (canaries("1.4.1"), canaries("1.4.2"));
    let both = first.iter().filter(|n| second.contains(n)).count();
    // By chance one in a hundred of the 655.
    assert!((500..800).contains(&first.len()) && both < 25, "{both} of {} again", first.len());
}

#[test]
fn the_seed_of_a_node_and_version_is_fixed() {
    // printf 'coracle.wave.v1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0001.4.1' | sha256sum | head -c 8
    assert_eq!(Seed::drawn(NodeId([0; 16]), "1.4.1".parse().unwrap()), Seed(0x3a50_7188));
    assert_eq!(Place::LAST.seed("1.4.1".parse().unwrap()), Seed(u32::MAX));
}

#[test]
fn a_step_at_the_start_and_a_rest_between_waves_are_as_written() {
    let waves = waves(&[(0, 100), (HOUR, 100), (2 * HOUR, ALL)]);
    let at =
        |permille: u64| waves.eligible(Seed((permille * (1 << 32) / 1000) as u32)).since(START).as_secs();
    assert_eq!(at(0), 0);
    assert_eq!(at(99), 0, "a step that the publisher asked for");
    assert_eq!(at(101), 3600 + 4, "nobody between the waves");
    assert_eq!(at(550), 3600 + 1800);
    assert_eq!(waves.eligible(Seed(u32::MAX)).since(START).as_secs(), 7200);
}

fn node(n: u64) -> NodeId {
    NodeId(u128::from(n).to_be_bytes())
}
