//! From the manifest's security context to the rights of a container.

use crate::check::{Checked, number, refuse};
use crate::manifest::{self as wire, Text};
use crate::names::CAPABILITIES;
use crate::pod::{Capabilities, Security};
use serde_saphyr::Spanned;

/// The rights, and which of them contradict each other.
pub(crate) fn security(wire: &wire::SecurityContext) -> Checked<Security> {
    let field = "spec.containers[0].securityContext";
    let id = |at: &Option<Spanned<i64>>| match at {
        None => Ok(None),
        Some(at) => number::<u32>(at, field, 0, i64::from(i32::MAX)).map(Some),
    };
    let security = Security {
        run_as_user: id(&wire.run_as_user)?,
        run_as_group: id(&wire.run_as_group)?,
        run_as_non_root: wire.run_as_non_root.as_ref().is_some_and(|at| at.value),
        read_only_root: wire.read_only_root_filesystem.unwrap_or(false),
        allow_privilege_escalation: wire.allow_privilege_escalation.as_ref().map(|at| at.value),
        privileged: wire.privileged.unwrap_or(false),
        add: capabilities(&wire.capabilities.add)?,
        drop: capabilities(&wire.capabilities.drop)?,
    };
    if let (true, Some(0), Some(at)) = (security.run_as_non_root, security.run_as_user, &wire.run_as_user) {
        return refuse(at, field, "runAsUser is 0 though runAsNonRoot is true");
    }
    if let Some(at) = &wire.allow_privilege_escalation
        && !at.value
    {
        if security.privileged {
            let reason = "allowPrivilegeEscalation cannot be false when privileged is true";
            return refuse(at, field, reason);
        }
        let admin = match &security.add {
            Capabilities::All => true,
            Capabilities::Named(list) => list.contains(&"SYS_ADMIN"),
        };
        if admin {
            let reason = "allowPrivilegeEscalation cannot be false when SYS_ADMIN is added";
            return refuse(at, field, reason);
        }
    }
    Ok(security)
}

fn capabilities(wire: &[Spanned<Text>]) -> Checked<Capabilities> {
    let field = "spec.containers[0].securityContext.capabilities";
    let mut all = false;
    let mut named = Vec::new();
    for at in wire {
        let text = at.value.0.as_str();
        if text == "ALL" {
            all = true;
            continue;
        }
        let Some(name) = CAPABILITIES.iter().find(|name| **name == text) else {
            let reason = if text.starts_with("CAP_") {
                "write the capability without CAP_ in front"
            } else {
                "no such capability; write it as in NET_BIND_SERVICE, or ALL"
            };
            return refuse(at, field, reason);
        };
        if !named.contains(name) {
            named.push(*name);
        }
    }
    Ok(if all { Capabilities::All } else { Capabilities::Named(named) })
}
