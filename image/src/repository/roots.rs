//! Every root of a repository, from the first to the newest.

use coracle_trust::transport::{Fault, Path, collect};
use coracle_trust::{Limits, Transport};
use tough::schema::{Root, Signed};

use super::mirror::Error;

/// The roots up to the newest, oldest first, each with its name. A machine that knows an old one walks from it to the newest, so each
/// must lead to the next, and the one that is trusted must be among them. Those before that may be missing.
pub(super) async fn all(
    from: &dyn Transport,
    trusted: &[u8],
    newest: u64,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let trusted: Signed<Root> = serde_json::from_slice(trusted).map_err(|_| Error::Chain { version: 0 })?;
    let known = trusted.signed.version.get();
    let mut next: Option<Signed<Root>> = None;
    let mut roots = Vec::new();
    for version in (1..=newest).rev() {
        let name = format!("{version}.root.json");
        let fetched = match Path::new(&format!("metadata/{name}")) {
            Some(path) => fetch(from, &path).await,
            None => Err(Fault::Missing),
        };
        let bytes = match fetched {
            Err(Fault::Missing) if version < known => break,
            other => other.map_err(|source| Error::Fetch { file: name.clone(), source })?,
        };
        let broken = || Error::Chain { version };
        let root: Signed<Root> = serde_json::from_slice(&bytes).map_err(|_| broken())?;
        let leads = next.as_ref().is_none_or(|next| root.signed.verify_role(next).is_ok());
        let is_known = version != known || root.signed == trusted.signed;
        if root.signed.version.get() != version
            || root.signed.verify_role(&root).is_err()
            || !leads
            || !is_known
        {
            return Err(broken());
        }
        next = Some(root);
        roots.push((name, bytes));
    }
    roots.reverse();
    Ok(roots)
}

async fn fetch(from: &dyn Transport, path: &Path) -> Result<Vec<u8>, Fault> {
    collect(from.whole(path).await?, Limits::default().small).await
}
