//! `linux.seccomp`, as <https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config-linux.md#seccomp> has it.
//!
//! Where the specification is silent, profiles rely on what runc and crun make of libseccomp, and so does this:
//!
//! * A rule with the default action says nothing. A name that no kernel knows is passed over, and one that an architecture
//!   lacks is passed over there.
//! * The native architecture always counts, whether listed or not; x86 and x32 do if listed, others cannot run here. A call
//!   by an entry that is not listed kills its thread.
//! * Which of several rules for one call decides is said at the head of `rules`.
//! * A 32-bit program's arguments are compared by their low half. i386 has a call of its own for most socket and System V IPC
//!   calls, and the old `socketcall` and `ipc`, whose first argument says which call is meant and whose others are an
//!   address. A rule is for both; for the old one its condition on the first argument, which no filter can check, does not
//!   count, and those on others are taken by their position, meaningless as it is.
//! * A number above all that the rules name fails with `ENOSYS` in place of a default action that refuses, kills or traps: a C
//!   library newer than the profile then does without the call. `ALLOW`, `LOG` and `TRACE` remain what they are. Only runc
//!   does so, and only by architectures that are listed.
//! * Without `flags`, `SECCOMP_FILTER_FLAG_SPEC_ALLOW` is one. `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, which the kernel
//!   refuses without a listener, counts if there is one.

mod rules;

use std::{collections::BTreeSet, path::PathBuf};

use coracle_runtime::seccomp::{Action, Arch, Arg, Compare, Condition, Flags, Insn, Policy, compile};
use oci_spec::runtime::{
    Arch as Listed, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use rules::Rule;

const EPERM: u32 = 1;
/// `MAX_ERRNO` (linux/err.h).
const MAX_ERRNO: u16 = 4095;

/// Why a filter was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An errno beside an action that has none to return.
    #[error("{property} is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone")]
    ErrnoUnused {
        /// Where.
        property: String,
    },
    /// An errno that no call can return, or a word that no tracer can be told.
    #[error("{property} is {value}, and at most {most}")]
    ErrnoRange {
        /// Where.
        property: String,
        /// What it says.
        value: u32,
        /// What it may say.
        most: u16,
    },
    /// An argument that system calls do not have.
    #[error("{property} is {index}; system calls have arguments 0 to 5")]
    ArgIndex {
        /// Where.
        property: String,
        /// What it says.
        index: usize,
    },
    /// Every call would wait for the agent, those among them by which it is given the listener.
    #[error("linux.seccomp.defaultAction is SCMP_ACT_NOTIFY, which is for rules alone")]
    NotifyAlways,
    /// The listener could not be handed over.
    #[error("{property} has write, which SCMP_ACT_NOTIFY is not for: the listener is handed over by it")]
    NotifyWrite {
        /// Where.
        property: String,
    },
    /// Nobody would be notified.
    #[error("linux.seccomp.listenerPath is missing, and {property} is SCMP_ACT_NOTIFY")]
    ListenerMissing {
        /// Where.
        property: String,
    },
    /// Metadata for nobody.
    #[error("linux.seccomp.listenerMetadata is set, and linux.seccomp.listenerPath is not")]
    MetadataAlone,
    /// There are more rules, or conditions of a rule, than a filter has room for.
    #[error("linux.seccomp.syscalls do not fit into a filter")]
    Compile(#[source] coracle_runtime::Error),
}

/// A filter and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its program.
    pub program: Vec<Insn>,
    /// How it is installed.
    pub flags: Flags,
    /// Who is notified, if any rule notifies.
    pub listener: Option<Listener>,
}

/// Who gets the filter's listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `listenerPath`: the agent's socket.
    pub path: PathBuf,
    /// `listenerMetadata`: what the agent is told besides.
    pub metadata: Option<String>,
}

/// The filter for which a configuration asks.
///
/// # Errors
/// [`Error`].
pub fn lower(seccomp: &LinuxSeccomp) -> Result<Filter, Error> {
    let default =
        action(seccomp.default_action(), seccomp.default_errno_ret(), "linux.seccomp.defaultErrnoRet")?;
    if default == Action::Notify {
        return Err(Error::NotifyAlways);
    }
    let blocks = seccomp.syscalls().as_deref().unwrap_or_default();
    let rules =
        blocks.iter().enumerate().map(|(at, block)| rule(at, block)).collect::<Result<Vec<_>, _>>()?;
    let listener = listener(seccomp, &rules)?;
    let entries = architectures(seccomp).into_iter().map(|arch| (arch, rules::calls(arch, &rules, default)));
    let policy = Policy { foreign: Action::KillThread, entries: entries.collect() };
    let program = compile(&policy).map_err(Error::Compile)?;
    Ok(Filter { program, flags: flags(seccomp, listener.as_ref()), listener })
}

fn architectures(seccomp: &LinuxSeccomp) -> BTreeSet<Arch> {
    let listed = seccomp.architectures().iter().flatten().filter_map(|arch| match arch {
        Listed::ScmpArchX86 => Some(Arch::X86),
        Listed::ScmpArchX32 => Some(Arch::X32),
        _ => None,
    });
    listed.chain([Arch::X86_64]).collect()
}

fn action(kind: LinuxSeccompAction, errno: Option<u32>, property: &str) -> Result<Action, Error> {
    use LinuxSeccompAction as Kind;
    let property = || property.to_owned();
    let word = |most: u16| {
        let value = errno.unwrap_or(EPERM);
        let word = u16::try_from(value).ok().filter(|word| *word <= most);
        word.ok_or_else(|| Error::ErrnoRange { property: property(), value, most })
    };
    let action = match kind {
        Kind::ScmpActErrno => return word(MAX_ERRNO).map(Action::Errno),
        Kind::ScmpActTrace => return word(u16::MAX).map(Action::Trace),
        Kind::ScmpActKill | Kind::ScmpActKillThread => Action::KillThread,
        Kind::ScmpActKillProcess => Action::Kill,
        Kind::ScmpActTrap => Action::Trap,
        Kind::ScmpActNotify => Action::Notify,
        Kind::ScmpActLog => Action::Log,
        Kind::ScmpActAllow => Action::Allow,
    };
    match errno {
        None => Ok(action),
        Some(_) => Err(Error::ErrnoUnused { property: property() }),
    }
}

fn rule(at: usize, block: &LinuxSyscall) -> Result<Rule, Error> {
    let property = |name: &str| format!("linux.seccomp.syscalls.{at}.{name}");
    let then = action(block.action(), block.errno_ret(), &property("errnoRet"))?;
    if then == Action::Notify && block.names().iter().any(|name| name == "write") {
        return Err(Error::NotifyWrite { property: property("names") });
    }
    let condition = |(arg_at, arg): (usize, &LinuxSeccompArg)| {
        condition(arg).ok_or_else(|| Error::ArgIndex {
            property: property(&format!("args.{arg_at}.index")),
            index: arg.index(),
        })
    };
    let args = block.args().iter().flatten().enumerate().map(condition).collect::<Result<Vec<_>, _>>()?;
    Ok(Rule::new(block.names(), args, then))
}

/// `None` if there is no such argument.
fn condition(arg: &LinuxSeccompArg) -> Option<Condition> {
    use LinuxSeccompOperator as Operator;
    let (value, second) = (arg.value(), arg.value_two().unwrap_or_default());
    let (compare, value) = match arg.op() {
        Operator::ScmpCmpNe => (Compare::NotEqual, value),
        Operator::ScmpCmpLt => (Compare::Less, value),
        Operator::ScmpCmpLe => (Compare::LessOrEqual, value),
        Operator::ScmpCmpEq => (Compare::Equal, value),
        Operator::ScmpCmpGe => (Compare::GreaterOrEqual, value),
        Operator::ScmpCmpGt => (Compare::Greater, value),
        Operator::ScmpCmpMaskedEq => (Compare::Masked(value), second),
    };
    let arg = u8::try_from(arg.index()).ok().and_then(|index| Arg::new(index).ok())?;
    Some(Condition { arg, compare, value })
}

fn listener(seccomp: &LinuxSeccomp, rules: &[Rule]) -> Result<Option<Listener>, Error> {
    let path = seccomp.listener_path().clone().filter(|path| !path.as_os_str().is_empty());
    let metadata = seccomp.listener_metadata().clone();
    match (rules.iter().position(|rule| rule.then == Action::Notify), path) {
        (_, None) if metadata.is_some() => Err(Error::MetadataAlone),
        (Some(at), None) => {
            Err(Error::ListenerMissing { property: format!("linux.seccomp.syscalls.{at}.action") })
        }
        (Some(_), Some(path)) => Ok(Some(Listener { path, metadata })),
        (None, _) => Ok(None),
    }
}

fn flags(seccomp: &LinuxSeccomp, listener: Option<&Listener>) -> Flags {
    use LinuxSeccompFilterFlag as Flag;
    let Some(listed) = seccomp.flags() else { return Flags::SPEC_ALLOW };
    listed.iter().fold(Flags::NONE, |flags, flag| {
        flags.and(match flag {
            Flag::SeccompFilterFlagTsync => Flags::TSYNC,
            Flag::SeccompFilterFlagLog => Flags::LOG,
            Flag::SeccompFilterFlagSpecAllow => Flags::SPEC_ALLOW,
            Flag::SeccompFilterFlagWaitKillableRecv if listener.is_some() => Flags::WAIT_KILLABLE_RECV,
            Flag::SeccompFilterFlagWaitKillableRecv => Flags::NONE,
        })
    })
}

#[cfg(test)]
mod tests;
