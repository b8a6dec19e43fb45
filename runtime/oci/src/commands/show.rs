//! `state`, `list` and `ps`.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use crate::state::{self, Container};

/// Prints a container's state.
pub fn state(root: &Path, id: &str) -> Result<()> {
    let container = Container::open(root, id)?;
    let spec = container.config()?.spec;
    println!("{:#}", whole(&container, &spec));
    Ok(())
}

fn whole(container: &Container, spec: &Spec) -> Value {
    let mut shown = container.show(spec, container.status());
    if let Some(root) = spec.root() {
        shown["rootfs"] = json!(container.record.bundle.join(root.path()));
    }
    shown["created"] = json!(container.record.created);
    shown["owner"] = json!("");
    shown
}

/// Prints all containers.
pub fn list(root: &Path, json: bool, quiet: bool) -> Result<()> {
    let mut all = Vec::new();
    for id in state::all(root)? {
        // What went away in between is none.
        let Ok(container) = Container::open(root, id.as_str()) else { continue };
        let spec = container.config().map(|config| config.spec).unwrap_or_default();
        all.push(whole(&container, &spec));
    }
    if json {
        println!("{}", Value::Array(all));
        return Ok(());
    }
    let text = |container: &Value, field: &str| match &container[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if quiet {
        all.iter().for_each(|container| println!("{}", text(container, "id")));
        return Ok(());
    }
    let row = |fields: [&str; 5]| {
        println!("{:<24} {:<8} {:<9} {:<32} {}", fields[0], fields[1], fields[2], fields[3], fields[4])
    };
    row(["ID", "PID", "STATUS", "BUNDLE", "CREATED"]);
    for container in &all {
        let fields = ["id", "pid", "status", "bundle", "created"].map(|field| text(container, field));
        row(fields.each_ref().map(String::as_str));
    }
    Ok(())
}

/// Prints a container's processes, as this process knows them.
pub fn ps(root: &Path, id: &str, json: bool, arguments: &[String]) -> Result<ExitCode> {
    ensure!(arguments.is_empty(), "ps: there is no ps to hand arguments to; use --format json and the ids");
    let container = Container::open(root, id)?;
    let cgroup = container.cgroup()?.context("the container's cgroup is gone")?;
    drop(container);
    let processes: Vec<_> = cgroup.processes()?.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect();
    if json {
        println!("{}", json!(processes));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{:<8} COMMAND", "PID");
    for pid in processes {
        // It may have ended in between.
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        println!("{pid:<8} {command}");
    }
    Ok(ExitCode::SUCCESS)
}
