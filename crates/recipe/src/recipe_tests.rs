use super::*;
use crate::{Code, template};
use coracle_rollout::settings::Lock;
use proptest::prelude::*;

const HEAD: &str = "name = \"edge\"\nversion = \"1.0.0\"\n";

fn parse(body: &str) -> Result<Recipe, Findings> {
    Recipe::parse(&format!("{HEAD}{body}"), "coracle.toml")
}

fn found(body: &str) -> Vec<(Code, usize, usize)> {
    match parse(body) {
        Ok(_) => Vec::new(),
        Err(f) => f.findings.iter().map(|f| (f.code, f.line, f.column)).collect(),
    }
}

#[test]
fn two_lines_are_a_recipe() {
    let recipe = parse("").unwrap();
    assert_eq!(recipe.image.esp, ByteLen::mib(512));
    assert_eq!(recipe.image.formats, [Format::Raw]);
    assert_eq!(recipe.kernel.source, KernelSource::Package);
    assert_eq!(recipe.on_state_failure, OnStateFailure::Recover);
    let devices: Vec<_> = recipe.console.devices.iter().map(ConsoleDevice::as_str).collect();
    assert_eq!(devices, ["tty0", "ttyS0"]);
}

#[test]
fn one_fault_each() {
    use Code::{BadValue, Conflict, Syntax, UnknownKey, WrongType};
    let digest = "0".repeat(64);
    for (body, want) in [
        ("arch = \"aarch64\"", (BadValue, 3, 8)),
        ("arch = 1", (WrongType, 3, 8)),
        ("colour = 1", (UnknownKey, 3, 1)),
        ("name = \"again\"", (Syntax, 3, 1)),
        ("x = ", (Syntax, 3, 5)),
        ("kernel = 3", (WrongType, 3, 10)),
        ("[kernel]\nprofile = \"vitio\"", (BadValue, 4, 11)),
        ("[kernel]\nsource = \"linux.tar.xz\"", (BadValue, 4, 10)),
        ("[kernel]\nsource = \"http://a/b\"", (BadValue, 4, 10)),
        ("[kernel]\nsource = \"https://a/b\"", (Conflict, 4, 10)),
        (&format!("[kernel]\nsha256 = \"{digest}\""), (Conflict, 4, 10)),
        ("[kernel]\nsource = \"./a\"\nsha256 = \"00\"", (BadValue, 5, 10)),
        ("[kernel]\nfragments = [\"\"]", (BadValue, 4, 14)),
        ("[image]\nesp = 512", (WrongType, 4, 7)),
        ("[image]\nesp = \"1MiB\"", (BadValue, 4, 7)),
        ("[image]\nslot = \"524289KiB\"", (BadValue, 4, 8)),
        ("[image]\nslot = \"4GiB\"", (Conflict, 4, 8)),
        ("[image]\nverity = \"4MiB\"", (Conflict, 4, 10)),
        ("[image]\nformats = [\"raw\", \"raw\"]", (Conflict, 4, 19)),
        ("[image]\nformats = [\"iso\"]", (BadValue, 4, 12)),
        ("[image]\nformats = []", (BadValue, 1, 1)),
        ("[image]\nbudget = \"0B\"", (BadValue, 4, 10)),
        ("[image]\nformt = [\"raw\"]", (UnknownKey, 4, 1)),
        ("[[images]]\npath = \"a\"\ndigest = \"md5:0\"", (BadValue, 5, 10)),
        ("[[images]]\npath = \"a\"\nname = \"a b\"", (BadValue, 5, 8)),
        ("[[images]]\n", (Code::Missing, 1, 1)),
        ("[[pods]]\nmanifest = \"\"", (BadValue, 4, 12)),
        ("[[files]]\nsource = \"a\"\npath = \"/var/a\"", (BadValue, 5, 8)),
        ("[[files]]\nsource = \"a\"\npath = \"/a\"\nmode = 644", (WrongType, 6, 8)),
        ("[[files]]\nsource = \"a\"\npath = \"/a\"\nmode = \"4755\"", (BadValue, 6, 8)),
        ("[console]\nloglevel = 8", (BadValue, 4, 12)),
        ("[console]\nloglevel = \"4\"", (WrongType, 4, 12)),
        ("[console]\ndevices = [\"ttyS0\", \"ttyS0,9600\"]", (Conflict, 4, 21)),
        ("[console]\ndevices = [\"tty0 init=/x\"]", (BadValue, 4, 12)),
        ("[state]\non_failure = \"panic\"", (BadValue, 4, 14)),
        ("[boot]\ndeadline = \"1s\"", (BadValue, 4, 12)),
    ] {
        assert_eq!(found(body), [want], "{body}");
    }
}

const UPDATE: &str =
    "[update]\nrepositories = [\"http://a/edge\"]\nchannel = \"stable\"\nroot = \"root.json\"\n";

#[test]
fn an_update_needs_little() {
    assert_eq!(parse("").unwrap().update, None);
    let recipe = parse(UPDATE).unwrap();
    let settings = recipe.update.unwrap().settings("2026-11-25T12:00:00Z".parse().unwrap());
    assert_eq!(settings.line.to_string(), "edge stable x86_64");
    assert_eq!(
        (settings.epoch.0, settings.min_between_seconds, settings.health.stable_seconds),
        (0, 600, 60)
    );
    assert_eq!(settings.built.to_string(), "2026-11-25T12:00:00Z");
    assert_eq!(coracle_rollout::Settings::parse(&settings.to_bytes().unwrap()).unwrap(), settings);
    let settings = Recipe::parse(&template::complete().replace("sha256 = \"0", "# sha256 = \"0"), "x");
    let settings = settings.unwrap().update.unwrap().settings(coracle_rollout::Time::from_unix(0));
    assert_eq!((settings.schedule.windows.len(), settings.health.gates.len()), (1, 4));
    assert_eq!(
        settings.lock,
        Some(Lock::FleetLock { url: "https://lock.example.org".into(), group: "edge".into() })
    );
}

#[test]
fn one_fault_each_in_an_update() {
    use Code::{BadValue, Conflict, Missing, UnknownKey, WrongType};
    let window = "[[update.windows]]\ndays = [\"Sat\"]\nstart_time = \"02:00\"\n";
    let gate = "[[update.health.gates]]\n";
    for (lines, want) in [
        ("chanel = \"stable\"", (UnknownKey, 7, 1)),
        ("epoch = -1", (BadValue, 7, 9)),
        ("epoch = \"1\"", (WrongType, 7, 9)),
        ("max = \"0.9.0\"", (Conflict, 7, 7)),
        ("approval = \"automatc\"", (BadValue, 7, 12)),
        ("min_between = \"59s\"", (BadValue, 7, 15)),
        ("place = 1001", (BadValue, 7, 9)),
        ("lock = { fleetlock = \"http://l\", group = \"a b\" }", (BadValue, 7, 42)),
        ("lock = { fleetlock = \"https://l\", group = \"a\" }", (Conflict, 7, 22)),
        ("lock = { fleetlock = \"http://l\" }", (Missing, 1, 1)),
        ("lock = { fleetlok = \"http://l\", group = \"a\" }", (UnknownKey, 7, 10)),
        ("lock = \"http://l\"", (WrongType, 7, 8)),
        ("time = [\"a:b\"]", (BadValue, 7, 9)),
        ("offset = \"+15:00\"", (BadValue, 7, 10)),
        ("proxy = \"https://p\"", (BadValue, 7, 9)),
        (&format!("{window}length_minutes = 0"), (BadValue, 10, 18)),
        (&format!("{window}length_minutes = 9\nx = 1"), (UnknownKey, 11, 1)),
        (window, (Missing, 1, 1)),
        (
            "[[update.windows]]\ndays = [\"sat\"]\nstart_time = \"02:00\"\nlength_minutes = 1",
            (BadValue, 8, 9),
        ),
        ("[[update.windows]]\ndays = []\nstart_time = \"02:00\"\nlength_minutes = 1", (BadValue, 8, 8)),
        ("[[update.blackouts]]\nfrom = \"2026-12-24\"\nto = \"2026-12-23\"", (Conflict, 9, 6)),
        ("[[update.blackouts]]\nfrom = \"2026-02-30\"\nto = \"2026-12-23\"", (BadValue, 8, 8)),
        ("[update.health]\nstable = \"5min\"", (Conflict, 8, 10)),
        ("[update.health]\nrepository = \"maybe\"", (BadValue, 8, 14)),
        (&format!("{gate}tcp = \"127.0.0.1\""), (BadValue, 8, 7)),
        (&format!("{gate}tcp = \"127.0.0.1:1\"\nfile = \"/run/a\""), (Conflict, 9, 8)),
        (&format!("{gate}tcp = 1"), (WrongType, 8, 7)),
        (&format!("{gate}tpc = \"127.0.0.1:1\""), (UnknownKey, 8, 1)),
        (gate, (Missing, 1, 1)),
        (&format!("{gate}http = \"https://127.0.0.1/\""), (Conflict, 8, 8)),
    ] {
        let body = format!("{UPDATE}{lines}");
        assert_eq!(found(&body), [want], "{body}");
    }
    for (from, to, want) in [
        ("[\"http://a/edge\"]", "[]", (BadValue, 4, 16)),
        ("http://a/edge", "ftp://a", (BadValue, 4, 17)),
        ("http://a/edge", "https://a", (Conflict, 4, 17)),
        ("\"stable\"", "\"Stable\"", (BadValue, 5, 11)),
        ("channel = \"stable\"\n", "", (Missing, 1, 1)),
        ("root = \"root.json\"\n", "", (Missing, 1, 1)),
    ] {
        assert_eq!(found(&UPDATE.replace(from, to)), [want], "{to}");
    }
    let long = format!("name = \"{}\"\nversion = \"1.0.0\"\n{UPDATE}", "a".repeat(33));
    let findings = Recipe::parse(&long, "coracle.toml").unwrap_err().findings;
    assert_eq!((findings.len(), findings[0].code, findings[0].column), (1, Conflict, 8));
}

#[test]
fn files_may_not_lie_in_one_another() {
    for (one, two, good) in [
        ("/etc/a", "/etc/a", false),
        ("/etc/a", "/etc/a/b", false),
        ("/etc/a/b/c", "/etc/a", false),
        ("/etc/a", "/etc/a-b", true),
        ("/etc/a/b", "/etc/a/c", true),
    ] {
        let body = format!(
            "[[files]]\nsource = \"s\"\npath = \"{one}\"\n[[files]]\nsource = \"s\"\npath = \"{two}\"\n"
        );
        assert_eq!(parse(&body).is_ok(), good, "{one} {two}");
    }
}

#[test]
fn all_faults_at_once_in_order() {
    let text = "nmae = \"edge\"\nversion = 3\narch = \"z80\"\n[image]\nesp = 1\nslot = \"x\"\n[boot]\ndeadlin = \"5min\"\n";
    let findings = Recipe::parse(text, "demo.toml").unwrap_err();
    let lines: Vec<_> = findings.findings.iter().map(|f| (f.line, f.code)).collect();
    use Code::{BadValue, UnknownKey, WrongType};
    assert_eq!(
        lines,
        [(1, UnknownKey), (2, WrongType), (3, BadValue), (5, WrongType), (6, BadValue), (8, UnknownKey)]
    );
    let printed = findings.to_string();
    for line in [
        "error: unknown key `nmae` at the top of the recipe\n --> demo.toml:1:1\n",
        "1 | nmae = \"edge\"\n  | ^^^^\n  = help: did you mean `name`?\n",
        "  = help: write it like `version = \"0.1.0\"`\n",
        "5 | esp = 1\n  |       ^\n  = help: write it like `esp = \"512MiB\"`\n",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    let json = serde_json::to_value(&findings).unwrap();
    assert_eq!(json["file"], "demo.toml");
    assert_eq!(json["findings"][0]["code"], "unknown-key");
    assert_eq!(json["findings"][3]["line"], 5);
}

#[test]
fn missing_keys_are_named() {
    let findings = Recipe::parse("", "coracle.toml").unwrap_err();
    let remedies: Vec<_> = findings.findings.iter().map(|f| f.remedy.as_str()).collect();
    assert_eq!(remedies, ["add `name = \"edge\"`", "add `version = \"0.1.0\"`"]);
}

#[test]
fn syntax_comes_alone() {
    let found = found("colour = 1\nx = = 2\n[image]\nesp = 1");
    assert!(!found.is_empty() && found.iter().all(|f| f.0 == Code::Syntax), "{found:?}");
}

#[test]
fn too_large_is_refused_unread() {
    let findings = Recipe::parse(&"#".repeat((1 << 20) + 1), "coracle.toml").unwrap_err();
    assert_eq!(findings.findings[0].code, Code::TooLarge);
    assert_eq!(findings.findings.len(), 1);
}

#[test]
fn findings_are_bounded() {
    let text: String = (0..50_000).map(|n| format!("k{n}=1\n")).collect();
    let findings = Recipe::parse(&text, "coracle.toml").unwrap_err();
    assert_eq!(findings.findings.len(), 100);
}

proptest! {
    /// Any text gives a recipe or at least one finding, and the findings print.
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        if let Err(findings) = Recipe::parse(&text, "x") {
            prop_assert!(!findings.findings.is_empty());
            prop_assert!(findings.to_string().contains("x:"));
        }
    }

    /// The same for a template with a hole torn into it, which gets much further.
    #[test]
    fn torn_template_never_panics(at in 0usize..4400, len in 0usize..40, patch in "[\\x00-\\x7fé]{0,12}") {
        let chars: Vec<char> = template::complete().chars().collect();
        let text: String = chars.iter().take(at).copied().chain(patch.chars())
            .chain(chars.iter().skip(at + len).copied()).collect();
        if let Err(findings) = Recipe::parse(&text, "x") {
            prop_assert!(!findings.findings.is_empty());
            prop_assert!(!findings.to_string().is_empty());
        }
    }
}
