use super::*;
use coracle_layers::Config;
use coracle_tree::{Content, Meta, Mode, Tree};

fn image() -> Embedded {
    let (dir, program, file) =
        (Meta::root(Mode::EXECUTABLE), Meta::root(Mode::EXECUTABLE), Meta::root(Mode::READABLE));
    let mut tree = Tree::new(dir.clone());
    for folder in ["usr/bin", "srv", "etc", "opt"] {
        tree.dir_all(folder, &dir).unwrap();
    }
    tree.file("usr/bin/app", program.clone(), Content::from(&b"x"[..])).unwrap();
    tree.file("srv/run", program, Content::from(&b"x"[..])).unwrap();
    tree.file("srv/data", file.clone(), Content::from(&b"x"[..])).unwrap();
    let passwd = "root:x:0:0::/root:/\nweb:x:100:101::/srv:/\n";
    tree.file("etc/passwd", file, Content::from(passwd.as_bytes())).unwrap();
    tree.symlink("bin", Meta::root(Mode::OPEN), "usr/bin").unwrap();
    Embedded {
        source: "images/app".into(),
        reference: "app:1".into(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        tree,
        config: Config {
            entrypoint: vec!["app".into()],
            cmd: vec!["--default".into()],
            env: vec!["A=image".into(), "B=image".into()],
            user: "web".into(),
            working_dir: "/srv".into(),
            stop_signal: Some("SIGQUIT".into()),
            ..Config::default()
        },
    }
}

/// A pod with these lines in its metadata, spec and container; each line brings its own indentation below its part.
fn pod(metadata: &str, spec: &str, container: &str) -> Pod {
    let indent = |text: &str, by: &str| text.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    let yaml = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n{}spec:\n{}  containers:\n  - name: main\n    image: app:1\n{}",
        indent(metadata, "  "),
        indent(spec, "  "),
        indent(container, "    ")
    );
    Pod::parse(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn plan(metadata: &str, spec: &str, container: &str) -> Result<Plan, Error> {
    let plan = of(&pod(metadata, spec, container), &image(), 0)?;
    assert_eq!(Plan::decode(&plan.encode().unwrap()).unwrap(), plan);
    Ok(plan)
}

fn argv(plan: &Plan) -> String {
    plan.argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_bare_pod_takes_everything_from_its_image() {
    let plan = plan("", "", "").unwrap();
    assert_eq!(argv(&plan), "/usr/bin/app --default", "found by the search path");
    let folder = format!("/usr/share/coracle/images/{}", "ab".repeat(8));
    assert_eq!(plan.root, Root::Image(AbsPath::new(folder).unwrap()));
    let layer = AbsPath::new("/var/lib/coracle/containers/web").unwrap();
    assert_eq!(plan.writable, Writable::State(layer));
    assert_eq!((plan.uid, plan.gid), (100, 101));
    assert_eq!(plan.user, UserNamespace::Own(IdRange::new(0x1_0000, 0x1_0000).unwrap()));
    assert_eq!(plan.cwd, AbsPath::new("/srv").unwrap());
    let env: Vec<_> = plan.env.iter().map(|pair| pair.to_str().unwrap()).collect();
    assert_eq!(env[1..], ["HOSTNAME=web", "HOME=/srv", "A=image", "B=image"]);
    assert!(env[0].starts_with("PATH=/usr/local/sbin:"));
    assert_eq!((plan.restart, plan.stop_signal.get(), plan.grace_ms), (Restart::Always, 3, 30_000));
    assert_eq!(plan.limits, plan::Limits::default());
    assert_eq!((plan.net, plan.pid), (plan::Namespace::Own, plan::Namespace::Own));
    assert!(!plan.seccomp.is_empty() && !plan.masked.is_empty() && !plan.readonly.is_empty());
}

#[test]
fn command_and_args_follow_kubernetes() {
    for (container, want) in [
        ("args: [a, b]", "/usr/bin/app a b"),
        ("command: [/usr/bin/app]", "/usr/bin/app"),
        ("command: [/bin/app]\nargs: [x]", "/bin/app x"),
        ("command: [./run]", "/srv/./run"),
        ("command: [run]\nenv: [{name: PATH, value: \"/srv\"}]", "/srv/run"),
    ] {
        assert_eq!(argv(&plan("", "", container).unwrap()), want, "{container}");
    }
}

#[test]
fn the_manifest_wins_over_the_image() {
    let container = "env: [{name: B, value: pod}, {name: HOME, value: /h}]\nworkingDir: /opt\nsecurityContext:\n  runAsUser: 7\n  runAsGroup: 8";
    let plan = plan(
        "",
        "restartPolicy: Never\nhostname: other\nhostNetwork: true\nhostPID: true\nhostUsers: true",
        container,
    )
    .unwrap();
    let env: Vec<_> = plan.env.iter().map(|pair| pair.to_str().unwrap()).collect();
    assert_eq!(env[1..], ["HOSTNAME=other", "HOME=/h", "A=image", "B=pod"]);
    assert_eq!((plan.uid, plan.gid, plan.restart), (7, 8, Restart::Never));
    assert_eq!(
        (plan.net, plan.pid, plan.user),
        (plan::Namespace::Host, plan::Namespace::Host, UserNamespace::Host)
    );
    assert_eq!(plan.cwd, AbsPath::new("/opt").unwrap());
}

#[test]
fn quantities_become_limits() {
    let container = "resources:\n  limits: {cpu: 500m, memory: 64Mi, coracle/pids: \"32\"}";
    let plan = plan("", "", container).unwrap();
    let cpu = plan.limits.cpu.unwrap();
    assert_eq!((cpu.quota_us(), cpu.period_us()), (50_000, 100_000));
    assert_eq!((plan.limits.memory, plan.limits.pids), (Some(64 << 20), Some(32)));
    assert_eq!(plan.limits.weight.map(|weight| weight.get()), Some(20), "a limit stands in for a request");
    assert_eq!(plan.oom_score_adj.get(), -997);
}

#[test]
fn writable_layers() {
    let tmpfs = "annotations: {coracle/writable-layer: tmpfs}";
    let limit = "resources: {limits: {ephemeral-storage: 1Mi}}";
    let read_only = "securityContext: {readOnlyRootFilesystem: true}";
    assert_eq!(plan(tmpfs, "", "").unwrap().writable, Writable::Tmpfs { bytes: 64 << 20 });
    assert_eq!(plan(tmpfs, "", limit).unwrap().writable, Writable::Tmpfs { bytes: 1 << 20 });
    assert_eq!(plan("", "", read_only).unwrap().writable, Writable::None);
}

#[test]
fn what_cannot_be_given_is_refused_by_name() {
    let security = "spec.containers[0].securityContext";
    for (metadata, spec, container, want) in [
        ("", "", "ports: [{containerPort: 80, hostPort: 80}]", "spec.containers[0].ports".to_owned()),
        (
            "",
            "",
            "securityContext: {allowPrivilegeEscalation: true}",
            format!("{security}.allowPrivilegeEscalation"),
        ),
        ("", "", "securityContext: {runAsUser: 0}\n#", String::new()),
        ("", "", "securityContext: {runAsNonRoot: true, runAsUser: 100}", String::new()),
        ("annotations: {coracle/writeable: x}", "", "", "metadata.annotations".to_owned()),
        ("annotations: {coracle/writable-layer: disk}", "", "", "metadata.annotations".to_owned()),
        ("annotations: {example.com/x: y}", "", "", String::new()),
        (
            "",
            "",
            "resources: {limits: {ephemeral-storage: 1Mi}}",
            "spec.containers[0].resources.limits.ephemeral-storage".to_owned(),
        ),
        ("", "", "command: [gone]", "spec.containers[0].command".to_owned()),
        ("", "", "command: [/srv/data]", "spec.containers[0].command".to_owned()),
        ("", "", "command: [/srv]", "spec.containers[0].command".to_owned()),
        ("", "", "workingDir: /gone", "spec.containers[0].workingDir".to_owned()),
        ("", "", "workingDir: /srv/data", "spec.containers[0].workingDir".to_owned()),
    ] {
        let got = match plan(metadata, spec, container) {
            Ok(_) => String::new(),
            Err(Error::Pod { pod, field, .. }) if pod == "web" => field.to_owned(),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(got, want, "{metadata} {spec} {container}");
    }
    let mut root = image();
    root.config.user = String::new();
    let non_root = pod("", "", "securityContext: {runAsNonRoot: true}");
    assert!(matches!(of(&non_root, &root, 0), Err(Error::Pod { .. })));
    root.config.user = "nobody".into();
    assert!(matches!(of(&pod("", "", ""), &root, 0), Err(Error::PodUser { .. })));
}

#[test]
fn each_pod_has_ids_of_its_own() {
    let of = |index| super::of(&pod("", "", ""), &image(), index).map(|plan| plan.user);
    assert_eq!(of(2).unwrap(), UserNamespace::Own(IdRange::new(0x3_0000, 0x1_0000).unwrap()));
    assert!(of(0xffff).is_err(), "no ids are left");
}
