//! Root metadata: the first, and each next one, which is signed by those who could sign the one before, too.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::str::FromStr;

use tough::schema::{RoleKeys, RoleType, Root, Signed};

use super::Error;
use super::keyring::{self, Keyring};
use super::signer::Signer;

/// The version of the specification that is followed.
pub const SPEC: &str = "1.0.31";
/// More keys of a role than anybody carries to one place.
const MOST: usize = 16;

/// How many of a role's keys must sign: `2/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    threshold: NonZeroU64,
    keys: usize,
}

impl Quorum {
    /// The role's only key.
    pub const ONE: Self = Self { threshold: NonZeroU64::MIN, keys: 1 };
}

/// A quorum that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quorum is M/N: M of N keys sign, at least one, at most {MOST}")]
pub struct NoQuorum;

impl FromStr for Quorum {
    type Err = NoQuorum;

    fn from_str(text: &str) -> Result<Self, NoQuorum> {
        let (threshold, keys) = text.split_once('/').ok_or(NoQuorum)?;
        let (threshold, keys) =
            (threshold.parse().map_err(|_| NoQuorum)?, keys.parse().map_err(|_| NoQuorum)?);
        let quorum = Self { threshold, keys };
        if keys <= MOST && threshold.get() <= keys as u64 { Ok(quorum) } else { Err(NoQuorum) }
    }
}

/// The first root of a repository. Keys that are in the folder are taken; what is missing is made.
pub fn first(
    keyring: &mut Keyring,
    root_keys: Quorum,
    targets_keys: Quorum,
    expires: jiff::Timestamp,
) -> Result<Signed<Root>, Error> {
    let roles = [
        (RoleType::Root, root_keys),
        (RoleType::Targets, targets_keys),
        (RoleType::Snapshot, Quorum::ONE),
        (RoleType::Timestamp, Quorum::ONE),
    ];
    let mut root = Root {
        spec_version: SPEC.to_owned(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    let mut root_signers = Vec::new();
    for (role, Quorum { threshold, keys: count }) in roles {
        let (mut signers, notes) = keyring.signers(role)?;
        if !notes.is_empty() {
            return Err(Error::TooFew { role, have: signers.len(), need: count as u64, notes });
        }
        for number in 1..=count {
            if signers.len() < count && !keyring.names(role)?.contains(&format!("{role}-{number}")) {
                signers.push(keyring.make(&format!("{role}-{number}"))?);
            }
        }
        list(&mut root, role, threshold, &signers)?;
        if role == RoleType::Root {
            root_signers = signers;
        }
    }
    let own = root.clone();
    keyring::sign(&[&own], root, &root_signers, Vec::new())
}

/// The same keys for longer.
pub fn renewed(
    before: &Signed<Root>,
    keyring: &mut Keyring,
    expires: jiff::Timestamp,
) -> Result<Signed<Root>, Error> {
    next(before, before.signed.clone(), keyring, expires)
}

/// Another key in the place of the one with that name; gives the new one's name, too. A key of that role is taken that none of
/// the roots so far has listed; without one, one is made. The file of the old one stays: whoever has it can sign nothing that
/// machines believe once they have seen the new root.
pub fn rotated(
    roots: &[Signed<Root>],
    name: &str,
    keyring: &mut Keyring,
    expires: jiff::Timestamp,
) -> Result<(Signed<Root>, String), Error> {
    let not_listed = || Error::NotListed { name: name.to_owned() };
    let before = roots.last().ok_or_else(not_listed)?;
    let role = keyring::role_of(name.as_ref()).ok_or_else(not_listed)?;
    let (signers, _) = keyring.signers(role)?;
    let old = signers.iter().find(|signer| signer.name() == name).ok_or_else(not_listed)?;
    let mut root = before.signed.clone();
    let keys = root.roles.get_mut(&role).ok_or_else(not_listed)?;
    let place = keys.keyids.iter().position(|id| id == old.id()).ok_or_else(not_listed)?;
    let known = |signer: &Signer| roots.iter().any(|root| root.signed.keys.contains_key(signer.id()));
    let made;
    let new = match signers.iter().find(|signer| !known(signer)) {
        Some(new) => new,
        None => {
            made = keyring.make(&keyring.next_name(role)?)?;
            &made
        }
    };
    keys.keyids[place] = new.id().clone();
    root.keys.remove(old.id());
    root.keys.insert(new.id().clone(), new.key().clone());
    Ok((next(before, root, keyring, expires)?, new.name().to_owned()))
}

fn next(
    before: &Signed<Root>,
    mut root: Root,
    keyring: &mut Keyring,
    expires: jiff::Timestamp,
) -> Result<Signed<Root>, Error> {
    root.version = before.signed.version.saturating_add(1);
    root.expires = expires;
    let (signers, notes) = keyring.signers(RoleType::Root)?;
    let own = root.clone();
    keyring::sign(&[&before.signed, &own], root, &signers, notes)
}

fn list(root: &mut Root, role: RoleType, threshold: NonZeroU64, signers: &[Signer]) -> Result<(), Error> {
    let mut keyids = Vec::new();
    for signer in signers {
        if let Some(_other) = root.keys.insert(signer.id().clone(), signer.key().clone()) {
            let first = signers.iter().find(|other| other.id() == signer.id());
            let first = first.map_or("another", Signer::name).to_owned();
            return Err(Error::Twice { first, second: signer.name().to_owned() });
        }
        keyids.push(signer.id().clone());
    }
    root.roles.insert(role, RoleKeys { keyids, threshold, _extra: HashMap::new() });
    Ok(())
}
