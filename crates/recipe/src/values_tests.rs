use super::*;

#[test]
fn sizes() {
    for (text, want) in [
        ("512MiB", Some(512 << 20)),
        ("0B", Some(0)),
        ("1KiB", Some(1024)),
        ("3GiB", Some(3 << 30)),
        ("2TiB", Some(2 << 40)),
        ("16777215TiB", Some(16_777_215 << 40)),
        ("16777216TiB", None),
        ("99999999999999999999B", None),
        ("512", None),
        ("512MB", None),
        ("MiB", None),
        ("-1MiB", None),
        ("1.5GiB", None),
        ("1 MiB", None),
        ("", None),
        ("١MiB", None),
    ] {
        let got = ByteLen::parse(text);
        assert_eq!(got.as_ref().ok().map(|n| n.get()), want, "{text}");
        if let Ok(size) = got {
            assert_eq!(ByteLen::parse(&size.to_string()), Ok(size));
        }
    }
}

#[test]
fn names_and_versions() {
    let long = "a".repeat(64);
    for (text, good) in [
        ("edge", true),
        ("e-1", true),
        ("", false),
        ("Edge", false),
        ("-e", false),
        ("e-", false),
        ("e_1", false),
        (&long, false),
        (&long[..63], true),
    ] {
        assert_eq!(Name::parse(text).is_ok(), good, "{text}");
    }
    for (text, good) in [
        ("1.2.3", true),
        ("2026.11.23", true),
        ("2026.11.231", false),
        ("1.2", false),
        ("v1.2.3", false),
        ("", false),
        ("1.2.3+2", false),
    ] {
        assert_eq!(version(text).is_ok(), good, "{text}");
    }
}

#[test]
fn digests() {
    let good = "00ff".repeat(16);
    assert_eq!(Sha256::parse(&good).map(|d| d.to_string()), Ok(good));
    for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
        assert!(Sha256::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn modes_deadlines_consoles_levels() {
    for (text, want) in [
        ("0644", Some(0o644)),
        ("755", Some(0o755)),
        ("4755", None),
        ("1777", None),
        ("+644", None),
        ("0888", None),
        ("7", None),
        ("00644", None),
        ("", None),
    ] {
        assert_eq!(Mode::parse(text).ok().map(Mode::bits), want, "{text}");
    }
    for (text, want) in [
        ("20s", Some(20)),
        ("5min", Some(300)),
        ("60min", Some(3600)),
        ("19s", None),
        ("61min", None),
        ("5m", None),
        ("s", None),
        ("18446744073709551615min", None),
    ] {
        assert_eq!(Deadline::parse(text).ok().map(|d| d.get().as_secs()), want, "{text}");
    }
    for (text, good) in [
        ("ttyS0", true),
        ("ttyS0,115200n8", true),
        ("tty0 init=/x", false),
        ("ttyS0,", false),
        ("", false),
        ("/dev/tty0", false),
        ("a,b,c", false),
    ] {
        assert_eq!(ConsoleDevice::parse(text).is_ok(), good, "{text}");
    }
    for (level, good) in [(0, true), (7, true), (8, false), (-1, false), (i64::MAX, false)] {
        assert_eq!(LogLevel::new(level).is_ok(), good, "{level}");
    }
}
