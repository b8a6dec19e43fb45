use proptest::prelude::*;

use super::*;

fn schedule(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

fn next(schedule: &Schedule, now: &str) -> String {
    schedule.next_open(now.parse().unwrap()).map_or("never".to_owned(), |time| time.to_string())
}

#[test]
fn a_window_opens_on_its_days() {
    let schedule =
        schedule(r#"{"windows": [{"days": ["Sat", "Tue"], "start_time": "02:00", "length_minutes": 60}]}"#);
    // 2026-11-20 is a Friday.
    for (now, open) in [
        ("2026-11-20T10:00:00Z", "2026-11-21T02:00:00Z"),
        ("2026-11-21T01:59:59Z", "2026-11-21T02:00:00Z"),
        ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z"),
        ("2026-11-21T02:59:59Z", "2026-11-21T02:59:59Z"),
        ("2026-11-21T03:00:00Z", "2026-11-24T02:00:00Z"),
    ] {
        assert_eq!(next(&schedule, now), open, "{now}");
        assert_eq!(schedule.is_open(now.parse().unwrap()), now == open);
    }
}

#[test]
fn a_window_goes_over_midnight_and_over_the_week() {
    let schedule =
        schedule(r#"{"windows": [{"days": ["Sun"], "start_time": "23:30", "length_minutes": 120}]}"#);
    for (now, open) in [
        ("2026-11-22T23:29:00Z", "2026-11-22T23:30:00Z"),
        ("2026-11-23T00:10:00Z", "2026-11-23T00:10:00Z"),
        ("2026-11-23T01:29:59Z", "2026-11-23T01:29:59Z"),
        ("2026-11-23T01:30:00Z", "2026-11-29T23:30:00Z"),
    ] {
        assert_eq!(next(&schedule, now), open, "{now}");
    }
}

#[test]
fn an_offset_moves_day_and_hour() {
    let window = r#""windows": [{"days": ["Mon"], "start_time": "00:30", "length_minutes": 60}]"#;
    let east = schedule(&format!(r#"{{"offset": "+01:00", {window}}}"#));
    let west = schedule(&format!(r#"{{"offset": "-03:30", {window}}}"#));
    assert_eq!(next(&east, "2026-11-20T00:00:00Z"), "2026-11-22T23:30:00Z");
    assert_eq!(next(&west, "2026-11-20T00:00:00Z"), "2026-11-23T04:00:00Z");
    // The clocks of Europe go back on 2026-10-25: the window keeps its distance from UTC, an hour later on the wall before.
    assert_eq!(next(&east, "2026-10-24T00:00:00Z"), "2026-10-25T23:30:00Z");
    assert_eq!(next(&east, "2026-10-18T00:00:00Z"), "2026-10-18T23:30:00Z");
}

#[test]
fn no_window_opens_on_blackout_dates() {
    let schedule = schedule(
        r#"{"offset": "+02:00",
            "windows": [{"days": ["Thu"], "start_time": "00:00", "length_minutes": 60}],
            "blackouts": [{"from": "2026-12-30", "to": "2027-01-07"}, {"from": "2026-12-20", "to": "2026-12-30"}]}"#,
    );
    assert_eq!(next(&schedule, "2026-12-18T00:00:00Z"), "2027-01-13T22:00:00Z");
    let blackouts = Schedule { windows: Vec::new(), ..schedule };
    assert_eq!(next(&blackouts, "2026-12-19T21:59:59Z"), "2026-12-19T21:59:59Z");
    assert_eq!(next(&blackouts, "2026-12-19T22:00:00Z"), "2027-01-07T22:00:00Z");
    let dayless =
        self::schedule(r#"{"windows": [{"days": [], "start_time": "02:00", "length_minutes": 1}]}"#);
    assert_eq!(next(&dayless, "2026-12-19T22:00:00Z"), "never");
    assert_eq!(next(&Schedule::default(), "2026-12-25T00:00:00Z"), "2026-12-25T00:00:00Z");
}

#[test]
fn what_is_not_a_window_is_refused() {
    for json in [
        r#"{"windows": [{"days": ["Sat"], "start_time": "02:00", "length_minutes": 0}]}"#,
        r#"{"windows": [{"days": ["Sat"], "start_time": "02:00", "length_minutes": 10081}]}"#,
        r#"{"windows": [{"days": ["Sat"], "start_time": "24:00", "length_minutes": 1}]}"#,
        r#"{"windows": [{"days": ["Caturday"], "start_time": "02:00", "length_minutes": 1}]}"#,
        r#"{"windows": [{"days": ["Sat"], "start_time": "02:00", "length_minutes": 1, "tz": "UTC"}]}"#,
        r#"{"offset": "+14:01"}"#,
        r#"{"offset": "Europe/Berlin"}"#,
        r#"{"blackouts": [{"from": "2026-02-30", "to": "2026-03-01"}]}"#,
    ] {
        assert!(serde_json::from_str::<Schedule>(json).is_err(), "{json}");
    }
    for offset in ["Z", "+14:00", "-03:30"] {
        assert_eq!(offset.parse::<Offset>().unwrap().to_string(), offset);
    }
}

proptest! {
    #[test]
    fn the_next_opening_is_the_first(now in 0_u64..8_000_000, day in 0..7_usize, minute in 0_u32..1440, length in 1_u32..10_080) {
        let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][day];
        let schedule = schedule(&format!(
            r#"{{"windows": [{{"days": ["{day}"], "start_time": "{:02}:{:02}", "length_minutes": {length}}}],
                "blackouts": [{{"from": "1970-02-01", "to": "1970-02-09"}}]}}"#,
            minute / 60, minute % 60,
        ));
        let now = Time::from_unix(now);
        let open = schedule.next_open(now).unwrap();
        prop_assert!(open >= now && schedule.is_open(open));
        if open > now {
            prop_assert!(!schedule.is_open(now));
            prop_assert!(!schedule.is_open(Time::from_unix(open.unix() - 1)));
            let between = now.unix() + (open.unix() - now.unix()) / 2;
            prop_assert!(between == open.unix() || !schedule.is_open(Time::from_unix(between)));
        }
    }
}
