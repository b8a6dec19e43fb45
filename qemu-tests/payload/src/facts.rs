//! What the container lets its process see and do.

use std::fs;
use std::path::Path;

use crate::json::Json;

/// The lines of `/proc/self/status` that say what a process may do.
const STATUS: [&str; 11] = [
    "Uid",
    "Gid",
    "Groups",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// Everything about this process. What cannot be read is missing, which a test of its absence can see.
pub fn own() -> Json {
    let own = Path::new("/proc/self");
    let status = fs::read_to_string(own.join("status")).unwrap_or_default();
    let status =
        status.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| STATUS.contains(name));
    let namespaces = links(&own.join("ns")).into_iter().map(|(name, target)| (name, Json::Text(target)));
    let descriptors = links(&own.join("fd")).into_iter().map(|(name, target)| format!("{name} {target}"));
    // The folder that is being listed is a descriptor, too.
    let descriptors = descriptors.filter(|line| !line.ends_with("/fd"));
    Json::object([
        ("pid", Json::Number(std::process::id().into())),
        ("hostname", Json::Text(text("/proc/sys/kernel/hostname"))),
        ("status", Json::object(status.map(|(name, value)| (name, Json::Text(words(value)))))),
        ("uid_map", Json::Text(words(&text("/proc/self/uid_map")))),
        ("namespaces", Json::object(namespaces)),
        ("cgroup", Json::texts(lines("/proc/self/cgroup"))),
        ("mounts", Json::texts(lines("/proc/self/mountinfo"))),
        ("oom_score_adj", Json::Text(text("/proc/self/oom_score_adj"))),
        ("descriptors", Json::texts(descriptors)),
        ("arguments", Json::texts(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))),
        (
            "environment",
            Json::object(std::env::vars_os().map(|(name, value)| {
                (name.to_string_lossy().into_owned(), Json::Text(value.to_string_lossy().into_owned()))
            })),
        ),
        ("devices", Json::texts(names(Path::new("/dev")))),
    ])
}

/// Every process in `/proc`.
pub fn processes() -> Json {
    let one = |pid: String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, state, parent) = process(&stat)?;
        Some(Json::object([
            ("pid", Json::Number(pid.parse().ok()?)),
            ("parent", Json::Number(parent)),
            ("name", Json::Text(name.to_owned())),
            ("state", Json::Text(state.to_owned())),
        ]))
    };
    Json::List(names(Path::new("/proc")).into_iter().filter_map(one).collect())
}

/// Name, state and parent from `/proc/PID/stat`; the name may have any character.
fn process(stat: &str) -> Option<(&str, &str, u64)> {
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((name, fields.next()?, fields.next()?.parse().ok()?))
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

fn lines(path: &str) -> Vec<String> {
    text(path).lines().map(str::to_owned).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn links(folder: &Path) -> Vec<(String, String)> {
    let target =
        |name: &String| fs::read_link(folder.join(name)).map(|target| target.to_string_lossy().into_owned());
    names(folder).into_iter().filter_map(|name| target(&name).ok().map(|target| (name, target))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_name_what_decides_about_rights() {
        let facts: serde_json::Value = serde_json::from_str(&own().to_string()).unwrap();
        assert_eq!(facts["pid"], std::process::id());
        for name in STATUS {
            assert!(facts["status"][name].is_string(), "{name} in {facts}");
        }
        assert!(facts["namespaces"]["pid"].as_str().unwrap().starts_with("pid:["));
        assert!(facts["mounts"].as_array().is_some_and(|mounts| !mounts.is_empty()));
        let descriptors = facts["descriptors"].as_array().unwrap();
        assert!(descriptors.iter().any(|line| line.as_str().unwrap().starts_with("0 ")), "{descriptors:?}");
    }

    #[test]
    fn processes_are_listed_with_their_parents() {
        let list: serde_json::Value = serde_json::from_str(&processes().to_string()).unwrap();
        let own = list.as_array().unwrap().iter().find(|one| one["pid"] == std::process::id()).unwrap();
        assert_eq!(own["parent"], std::os::unix::process::parent_id());
        assert_eq!(process("1 (a) (b)) S 0 1 1"), Some(("a) (b)", "S", 0)));
        assert_eq!(process("nonsense"), None);
    }
}
