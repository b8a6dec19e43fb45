//! An image that is kept up to date.

use std::process::Command;

use coracle_image::update;
use coracle_rollout::Settings;

use super::*;

const UPDATE: &str = r#"
[update]
repositories = ["http://10.0.2.2:8000/"]
channel = "stable"
root = "repo/metadata/1.root.json"
[[update.health.gates]]
container = "app"
"#;

/// One with a repository, whose programs are stand-ins for the real ones.
fn project() -> Project {
    let project = Project::quick();
    let recipe = quick().replace(r#"["direct"]"#, r#"["raw", "direct"]"#);
    fs::write(project.path("coracle.toml"), recipe + UPDATE).unwrap();
    fs::write(project.path("programs/updater"), noise("updater", 9_000)).unwrap();
    fs::write(project.path("passphrase"), "correct horse").unwrap();
    let mut coracle = Command::new(env!("CARGO_BIN_EXE_coracle"));
    let words = ["keys", "init", "--repo", "repo", "--keys", "keys", "--passphrase-file", "passphrase"];
    let output = coracle.args(words).current_dir(project.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    project
}

fn built(project: &Project, pinned: Pinned, update_lock: bool) -> (Built, Settings, PathBuf) {
    let request = Request { pinned, update_lock, ..project.request() };
    let built = build(&request, &mut |_| ()).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let root = project.path("root");
    let _ = fs::remove_dir_all(&root); // The one of the build before, if there was one.
    judge("fsck.erofs", &[&format!("--extract={}", root.display())], &project.file("root"));
    let settings = fs::read(root.join("usr/share/coracle/update/settings.json")).unwrap();
    (built, Settings::parse(&settings).unwrap(), root)
}

#[test]
fn the_updater_is_in_the_root_and_the_lock_says_when() {
    let project = project();
    let [early, late] = [1_795_000_000, 1_795_600_000].map(Time::from_unix);
    let (first, settings, root) = built(&project, Pinned::Now(early), false);
    assert_eq!((settings.built, settings.line.to_string().as_str()), (early, "judged stable x86_64"));
    assert_eq!(first.release.services, ["netd", "fetch", "updater"]);
    assert_eq!(fs::read(root.join("usr/sbin/updater")).unwrap(), noise("updater", 9_000));
    let metadata = fs::read(project.path("repo/metadata/1.root.json")).unwrap();
    assert_eq!(fs::read(root.join("usr/share/coracle/update/root.json")).unwrap(), metadata);
    assert!(!root.join("usr/share/coracle/update/authorities.pem").exists());
    for name in ["fetch", "updater"] {
        let plan = fs::read(root.join(format!("usr/share/coracle/services/{name}.plan"))).unwrap();
        assert_eq!(Plan::decode(&plan).unwrap().name.as_str(), name);
    }
    let inspected = coracle_image::inspect::inspect(&project.file("raw")).unwrap();
    let update = inspected.slots[0].update.as_ref().unwrap();
    assert_eq!((update.channel.as_str(), &update.repositories[..]), ("stable", &settings.repositories[..]));
    assert!(inspected.to_string().contains("follows stable of http://10.0.2.2:8000/\n"));
    // The same inputs are the same image, whatever the clock says, renewed or not.
    assert_eq!(built(&project, Pinned::Now(late), true).0, first);
    // Whoever asks for a time gets it, and the lock stays.
    assert_eq!(built(&project, Pinned::At(late), false).1.built, late);
    assert_eq!(built(&project, Pinned::Now(late), false).0, first);
    let lock = fs::read_to_string(project.path("recipe.lock")).unwrap();
    assert!(lock.contains(&format!("built = \"{early}\"")), "{lock}");
    fs::write(project.path("recipe.lock"), lock.replace(&first.release.kernel.source, "0")).unwrap();
    assert_eq!(built(&project, Pinned::Now(late), true).1.built, late, "other inputs, another time");
}

#[test]
fn what_is_missing_or_no_use_is_named() {
    let project = project();
    let refused = |from: &str, to: &str| {
        fs::write(project.path("coracle.toml"), (quick() + UPDATE).replace(from, to)).unwrap();
        project.build().unwrap_err()
    };
    let gate = refused("container = \"app\"", "container = \"other\"");
    assert!(matches!(gate, Error::GatePod { ref pod, .. } if pod == "other"), "{gate:?}");
    let is = |error: &Error, what: fn(&update::Error) -> bool| matches!(error, Error::Update { source, .. } if what(source));
    let root = refused("repo/metadata/1.root.json", "pod.yaml");
    assert!(is(&root, |error| matches!(error, update::Error::Root(_))), "{root:?}");
    let authorities = refused("channel", "authorities = \"motd\"\nchannel");
    assert!(is(&authorities, |error| matches!(error, update::Error::NoCertificate)), "{authorities:?}");
    fs::write(project.path("motd"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let authorities = refused("channel", "authorities = \"motd\"\nchannel");
    assert!(is(&authorities, |error| matches!(error, update::Error::Server(_))), "{authorities:?}");
    fs::remove_file(project.path("programs/updater")).unwrap();
    let program = refused("", "");
    assert!(matches!(program, Error::NoUpdater { .. }), "{program:?}");
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 0, "nothing was written");
}
