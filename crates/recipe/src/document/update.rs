//! The keys of `[update]`.

use serde::Deserialize;

use super::{At, Texts};

/// How machines are kept up to date.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Update {
    /// Addresses of the repository, http:// or https://: folders that have the same, asked in this order.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub repositories: Option<At<Texts>>,
    /// The channel that machines follow: a-z, 0-9, '.', '_', '-', at most 32.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub channel: Option<At<String>>,
    /// Root metadata of the repository, relative to the recipe: where trust begins.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub root: Option<At<String>>,
    /// Certificates of authorities in PEM, relative to the recipe: a server's https:// must come from one. Required for https://.
    pub authorities: Option<At<String>>,
    /// The image's epoch, 0 to 4294967295: a machine never goes to a release of a lower one.
    pub epoch: Option<At<i64>>,
    /// The highest version that machines may have.
    pub max: Option<At<String>>,
    /// "automatic" when the schedule allows it, "manual" when an operator says so, each time.
    pub approval: Option<At<String>>,
    /// The least time from the beginning of one update to that of the next, "1min" to "10080min".
    pub min_between: Option<At<String>>,
    /// The machines' place in the waves, 0 to 1000; without it each machine draws one for each version.
    pub place: Option<At<i64>>,
    /// Who else has to agree to a reboot.
    pub lock: Option<Lock>,
    /// Time servers, HOST or HOST:PORT.
    pub time: Option<At<Texts>>,
    /// When machines may reboot; none: at any time.
    pub windows: Option<Vec<Window>>,
    /// What the schedule's days and times are relative to: "Z", or a distance from UTC such as "+01:00".
    pub offset: Option<At<String>>,
    /// Days on which nothing reboots.
    pub blackouts: Option<Vec<Blackout>>,
    /// The server that HTTP requests go through, http:// only.
    pub proxy: Option<At<String>>,
    /// How a new system proves itself.
    pub health: Option<Health>,
}

/// Who else has to agree to a reboot.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// Address of a server of the FleetLock protocol.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub fleetlock: Option<At<String>>,
    /// The group that the machines are of: letters, digits, '.', '-'.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub group: Option<At<String>>,
}

/// A weekly window in which a reboot may begin.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// The days on which it opens: Mon, Tue, Wed, Thu, Fri, Sat, Sun.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub days: Option<At<Texts>>,
    /// When it opens, HH:MM.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub start_time: Option<At<String>>,
    /// How long it stays open, 1 to 10080.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub length_minutes: Option<At<i64>>,
}

/// Days on which nothing reboots.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Blackout {
    /// The first day, as in 2026-12-24.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub from: Option<At<String>>,
    /// The last day.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub to: Option<At<String>>,
}

/// How a new system proves itself, within the boot's deadline.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    /// For how long everything must hold without a break, "1s" to "60min", less than the boot's deadline.
    pub stable: Option<At<String>>,
    /// Whether the repository must answer: "required" or "optional".
    pub repository: Option<At<String>>,
    /// What else must hold.
    pub gates: Option<Vec<Gate>>,
}

/// Something that must hold; exactly one of its keys.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    /// An address that answers with status 200 to 399.
    pub http: Option<At<String>>,
    /// ADDRESS:PORT at which something listens.
    pub tcp: Option<At<String>>,
    /// A file of the host that is there.
    pub file: Option<At<String>>,
    /// A pod that runs.
    pub container: Option<At<String>>,
}
