use super::*;
use proptest::prelude::*;

const FULL: &str = include_str!("pod_example.yaml");

const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app\n";
const BODY: &str = "spec:\n  containers:\n  - name: app\n    image: a/b:1\n";

fn container(more: &str) -> Result<Container, Error> {
    Pod::parse(&format!("{HEAD}{BODY}{more}")).map(|pod| pod.container)
}

/// Line, column and text of the refusal.
fn refusal(yaml: &str) -> (u64, u64, String) {
    match Pod::parse(yaml) {
        Err(Error::Read { place, message }) => (place.line, place.column, message),
        Err(Error::Field { place, field, reason }) => {
            (place.line, place.column, format!("{field}: {reason}"))
        }
        other => panic!("{other:?}\n{yaml}"),
    }
}

#[test]
fn smallest_pod() {
    let pod = Pod::parse(&format!("{HEAD}{BODY}")).unwrap();
    assert_eq!(pod.hostname.as_str(), "app");
    assert_eq!(pod.grace, Duration::from_secs(30));
    assert_eq!(pod.restart, RestartPolicy::Always);
    assert_eq!((pod.network, pod.pids, pod.users), (Namespace::Own, Namespace::Own, Namespace::Own));
    assert_eq!(pod.container.security, Security::default());
    assert!(pod.container.command.is_empty());
}

#[test]
fn every_supported_field() {
    let pod = Pod::parse(FULL).unwrap();
    assert_eq!(pod.name.as_str(), "web");
    assert_eq!(pod.hostname.as_str(), "web-1");
    assert_eq!(pod.labels["app.kubernetes.io/name"], "web");
    assert_eq!(pod.annotations["example.com/note"], "any text: at all");
    assert_eq!((pod.network, pod.pids, pod.users), (Namespace::Own, Namespace::Host, Namespace::Host));
    assert_eq!(pod.restart, RestartPolicy::OnFailure);
    assert_eq!(pod.grace, Duration::from_secs(5));
    let one = pod.container;
    assert_eq!(one.command, ["/bin/web", "$(literal)"]);
    assert_eq!(one.args, ["--listen=0.0.0.0:8080", "--unknown=$(NOPE)"]);
    let env: Vec<_> = one.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        env,
        [("PORT", "8080"), ("ADDRESS", "0.0.0.0:8080"), ("EMPTY", ""), ("EARLY", "$(LATE)"), ("LATE", "yes")]
    );
    assert_eq!(one.working_dir.as_deref(), Some("/srv"));
    assert_eq!(
        one.ports,
        [
            Port { name: Some("http".to_owned()), container: 8080, host: Some(80), protocol: Protocol::Tcp },
            Port { name: None, container: 53, host: None, protocol: Protocol::Udp }
        ]
    );
    assert_eq!(one.limits.cpu.map(Quantity::millis), Some(1500));
    assert_eq!(one.limits.memory.map(Quantity::units), Some(64 << 20));
    assert_eq!(one.limits.pids.map(Quantity::units), Some(100));
    assert_eq!(one.requests.cpu.map(Quantity::millis), Some(250));
    assert_eq!(one.requests.memory.map(Quantity::units), Some(64 << 20));
    assert_eq!(one.requests.ephemeral_storage.map(Quantity::units), Some(1_000_000_000));
    let security = one.security;
    assert_eq!((security.run_as_user, security.run_as_group), (Some(1000), Some(1001)));
    assert!(security.run_as_non_root && security.read_only_root && !security.privileged);
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.drop, Capabilities::All);
    assert_eq!(security.add, Capabilities::Named(vec!["NET_BIND_SERVICE"]));
}

#[test]
fn unsupported_fields_are_named_with_their_place() {
    let top = |text: &str| format!("{HEAD}{BODY}{text}\n");
    for (yaml, line, column, field) in [
        (top("status: {}"), 9, 1, "status"),
        (top("  volumes: []"), 9, 3, "volumes"),
        (top("  initContainers: []"), 9, 3, "initContainers"),
        (top("  hostIPC: true"), 9, 3, "hostIPC"),
        (top("  hostnetwork: true"), 9, 3, "hostnetwork"),
        (top("    livenessProbe: {}"), 9, 5, "livenessProbe"),
        (top("    volumeMounts: []"), 9, 5, "volumeMounts"),
        (top("    env:\n    - name: A\n      valueFrom: {}"), 11, 7, "valueFrom"),
        (top("    ports:\n    - containerPort: 1\n      hostIP: 1.2.3.4"), 11, 7, "hostIP"),
        (top("    resources:\n      claims: []"), 10, 7, "claims"),
        (top("    resources:\n      limits:\n        nvidia.com/gpu: 1"), 11, 9, "nvidia.com/gpu"),
        (top("    securityContext:\n      seLinuxOptions: {}"), 10, 7, "seLinuxOptions"),
        (format!("{HEAD}  namespace: x\n{BODY}"), 5, 3, "namespace"),
    ] {
        let (at, col, message) = refusal(&yaml);
        assert_eq!((at, col), (line, column), "{yaml}{message}");
        assert!(message.contains(field), "{field}: {message}");
    }
}

#[test]
fn bad_values_have_a_place() {
    let mut misplaced = Vec::new();
    for (more, line, column, part) in [
        ("    command: [\"a\\0b\"]", 9, 15, "command"),
        ("    command: [1]", 9, 15, "string"),
        ("    args: [true]", 9, 12, "string"),
        ("    env: [{name: A, value: 1}]", 9, 21, "string"),
        ("    env: [{name: A=B}]", 9, 18, "env"),
        ("    env: [{name: A}, {name: A}]", 9, 29, "twice"),
        ("    workingDir: srv", 9, 17, "workingDir"),
        ("    ports: [{containerPort: 0}]", 9, 29, "between 1 and 65535"),
        ("    ports: [{containerPort: 65536}]", 9, 29, "between 1 and 65535"),
        ("    ports: [{containerPort: 1, hostPort: 0}]", 9, 42, "between 1 and 65535"),
        ("    ports: [{containerPort: 1, protocol: ICMP}]", 9, 42, "protocol"),
        ("    ports: [{containerPort: 1, name: UPPER}]", 9, 38, "name"),
        ("    ports: [{containerPort: 1}, {containerPort: 1}]", 9, 49, "twice"),
        ("    resources: {limits: {cpu: 1x}}", 9, 31, "limits.cpu: unknown suffix"),
        ("    resources: {limits: {memory: -1}}", 9, 34, "limits.memory"),
        ("    resources: {limits: {coracle/pids: 500m}}", 9, 40, "whole number"),
        ("    resources: {limits: {cpu: 1}, requests: {cpu: 2}}", 9, 51, "larger"),
        ("    securityContext: {runAsUser: -1}", 9, 34, "between 0"),
        ("    securityContext: {runAsUser: 0, runAsNonRoot: true}", 9, 34, "runAsNonRoot"),
        ("    securityContext: {privileged: yes}", 9, 35, ""),
        ("    securityContext: {capabilities: {add: [CAP_KILL]}}", 9, 44, "without CAP_"),
        ("    securityContext: {capabilities: {drop: [FLY]}}", 9, 45, "no such capability"),
        ("    securityContext: {privileged: true, allowPrivilegeEscalation: false}", 9, 67, "privileged"),
        ("  restartPolicy: always", 9, 18, "restartPolicy"),
        ("  terminationGracePeriodSeconds: -1", 9, 34, "Grace"),
        ("  hostname: a.b", 9, 13, "DNS label"),
        ("  - name: two\n    image: b", 7, 5, "exactly one"),
        ("    name: twice", 9, 5, "name"),
    ] {
        let yaml = format!("{HEAD}{BODY}{more}\n");
        let (at, col, message) = refusal(&yaml);
        if (at, col) != (line, column) {
            misplaced.push(format!("{at}:{col} {more}: {message}"));
        }
        assert!(message.contains(part), "{more}: {message}");
    }
    assert!(misplaced.is_empty(), "{misplaced:#?}");
}

#[test]
fn heads_that_are_no_pod() {
    let good = format!("{HEAD}{BODY}");
    for (from, to, line) in [
        ("apiVersion: v1", "apiVersion: v2", 1),
        ("kind: Pod", "kind: Deployment", 2),
        ("name: app\nspec", "name: App\nspec", 4),
        ("name: app\nspec", "name: app\n  labels: {a b: c}\nspec", 5),
        ("name: app\nspec", "name: app\n  labels: {a: b c}\nspec", 5),
        ("name: app\nspec", "name: app\n  annotations: {a b: c}\nspec", 5),
        ("image: a/b:1", "image: \"a b\"", 8),
        ("image: a/b:1", "image: *none", 8),
    ] {
        let yaml = good.replace(from, to);
        assert_ne!(yaml, good, "{from}");
        assert_eq!(refusal(&yaml).0, line, "{yaml}");
    }
    for text in ["", "---\n", "[]", "a", "{", "\u{0}", "kind: Pod", &good.repeat(2)] {
        assert!(Pod::parse(text).is_err(), "{text:?}");
    }
    let two = format!("{good}---\n{good}");
    assert!(Pod::parse(&two).is_err(), "a second document");
}

#[test]
fn host_network_ports_agree() {
    let ports = "    ports: [{containerPort: 8080, hostPort: 80}]\n";
    let own = format!("{HEAD}{BODY}{ports}");
    assert!(Pod::parse(&own).is_ok());
    let host = own.replace("spec:\n", "spec:\n  hostNetwork: true\n");
    assert!(refusal(&host).2.contains("hostNetwork"));
}

#[test]
fn quantities_may_be_plain_numbers() {
    for (text, nanos) in [("2", 2_000_000_000), ("0.1", 100_000_000), ("1e3", 1_000_000_000_000)] {
        let cpu = container(&format!("    resources: {{limits: {{cpu: {text}}}}}"))
            .map(|c| c.limits.cpu.map(Quantity::nanos));
        assert_eq!(cpu, Ok(Some(nanos)), "{text}");
    }
}

#[test]
fn bounds() {
    let long = format!("{HEAD}{BODY}#{}", "x".repeat(LIMIT));
    assert!(matches!(Pod::parse(&long), Err(Error::TooLarge { .. })));
    // Thirty doublings of one kilobyte: a gigabyte from two kilobytes of text.
    let mut env = format!("    env:\n    - {{name: V0, value: {}}}\n", "x".repeat(1024));
    for n in 1..=30 {
        env += &format!("    - {{name: V{n}, value: \"$(V{0})$(V{0})\"}}\n", n - 1);
    }
    assert!(matches!(container(&env), Err(Error::Field { .. })));
    assert!(Pod::parse(&"[".repeat(100_000)).is_err());
    assert!(Pod::parse(&"- ".repeat(100_000)).is_err());
}

proptest! {
    /// Any text gives a pod or an error that prints.
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}|[-:\\[\\]{}&*!|>'\"%@ \\n\\ta-z0-9]{0,200}") {
        if let Err(error) = Pod::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// The same for a good manifest with a hole torn into it, which gets much further.
    #[test]
    fn torn_manifest_never_panics(at in 0usize..FULL.len(), len in 0usize..30, patch in "[\\x00-\\x7fé]{0,12}") {
        let text: String = FULL.chars().take(at).chain(patch.chars()).chain(FULL.chars().skip(at + len)).collect();
        if let Err(error) = Pod::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
