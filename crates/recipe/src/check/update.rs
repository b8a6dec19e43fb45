//! `[update]`: what it says, held to the rules of the settings that it becomes.

use std::fmt::Display;
use std::str::FromStr;

use coracle_layout::OsVersion;
use coracle_rollout::label::{Label, Line};
use coracle_rollout::machine::Approval;
use coracle_rollout::settings::{self, BadSettings, Settings, check as rules};
use coracle_rollout::{Epoch, Time};

use super::Check;
use crate::document::{self, At};
use crate::findings::Code;
use crate::update::Update;
use crate::values::{Deadline, Name, Refused, SourcePath, min_between, refused, version};
use crate::words;

/// The least time between two updates when the recipe does not say, in seconds.
const MIN_BETWEEN: u32 = 600;
const REACHED: &str = "write it like \"https://updates.example.org/edge\"";

/// What of the image matters to updates.
pub(super) struct Image<'d> {
    pub name: Option<&'d At<String>>,
    pub version: Option<OsVersion>,
    pub arch: &'static str,
    pub boot_deadline: Deadline,
}

impl Check<'_, '_> {
    pub(super) fn update(&mut self, wire: &document::Update, image: &Image<'_>) -> Option<Update> {
        let repositories = self.repositories(wire);
        let channel = self.need(wire.channel.as_ref(), "update.channel", |text| parsed(text, "stable"));
        let root = self.need(wire.root.as_ref(), "update.root", SourcePath::parse);
        let authorities = self.optional(wire.authorities.as_ref(), SourcePath::parse);
        let epoch = self.number(wire.epoch.as_ref(), 0, "an epoch", u32::MAX);
        let max = self.max(wire, image);
        let approval = self.or(wire.approval.as_ref(), Approval::default(), words::approval);
        let between = self.or(wire.min_between.as_ref(), MIN_BETWEEN, min_between);
        let place = match &wire.place {
            None => Some(None),
            at => self.number(at.as_ref(), 0, "a place", 1000_u16).map(Some),
        };
        let lock = match &wire.lock {
            None => Some(None),
            Some(lock) => self.lock(lock).map(Some),
        };
        let time_servers = self.time_servers(wire);
        let schedule = self.schedule(wire);
        let proxy = self.optional(wire.proxy.as_ref(), |text| {
            ruled(rules::proxy(text), text, "write it like \"http://proxy.example.org:3128\"")
        });
        let default = document::Health::default();
        let health = self.health(wire.health.as_ref().unwrap_or(&default), image.boot_deadline);
        let product = self.product(image.name);
        self.trusted(wire);
        let arch = parsed(image.arch, "x86_64").ok();
        let wished = Settings {
            line: Line { channel: channel?, arch: arch?, product: product? },
            epoch: Epoch(epoch?),
            built: Time::from_unix(0),
            repositories: repositories?,
            max: max?,
            schedule: schedule?,
            approval: approval?,
            min_between_seconds: between?,
            place_permille: place?,
            lock: lock?,
            time_servers: time_servers?,
            proxy: proxy?,
            health: health?,
        };
        // Each value was held to its rule above, where it has a place: this finds what that forgot.
        if let Err(error) = wished.check() {
            self.report.add(Code::BadValue, 0..0, format!("`update`: {error}"), "see docs/recipe.md");
            return None;
        }
        Some(Update { root: root?, authorities: authorities?, wished })
    }

    fn optional<T>(
        &mut self,
        at: Option<&At<String>>,
        parse: impl Fn(&str) -> Result<T, Refused>,
    ) -> Option<Option<T>> {
        at.map_or(Some(None), |at| self.take(at, parse).map(Some))
    }

    fn number<N: TryFrom<i64> + PartialOrd + Display>(
        &mut self,
        at: Option<&At<i64>>,
        default: N,
        what: &str,
        most: N,
    ) -> Option<N> {
        let Some(at) = at else { return Some(default) };
        match N::try_from(*at.get()) {
            Ok(number) if number <= most => Some(number),
            _ => {
                let message = format!("{what} lies between 0 and {most}, not at {}", at.get());
                self.bad(at, Refused { message, remedy: "write a number in that range".to_owned() });
                None
            }
        }
    }

    fn texts(
        &mut self,
        list: &At<document::Texts>,
        count: impl Fn(usize) -> Result<(), BadSettings>,
        each: impl Fn(&str) -> Result<(), BadSettings>,
        remedy: &str,
    ) -> Option<Vec<String>> {
        if let Err(refused) = ruled(count(list.get().len()), "", remedy) {
            self.bad(list, refused);
            return None;
        }
        let one = |text: &str| ruled(each(text), text, remedy);
        self.list(list.get().iter().collect(), |check, at| check.take(at, one))
    }

    fn repositories(&mut self, wire: &document::Update) -> Option<Vec<String>> {
        match &wire.repositories {
            Some(list) => self.texts(list, rules::repositories, rules::repository, REACHED),
            None => self.missing("update.repositories"),
        }
    }

    fn time_servers(&mut self, wire: &document::Update) -> Option<Vec<String>> {
        let remedy = "write it like \"pool.ntp.org\" or \"10.0.0.1:123\"";
        let list = wire.time.as_ref();
        list.map_or(Some(Vec::new()), |list| {
            self.texts(list, rules::time_servers, rules::time_server, remedy)
        })
    }

    /// One that is below the image's own version would forbid the image itself.
    fn max(&mut self, wire: &document::Update, image: &Image<'_>) -> Option<Option<OsVersion>> {
        let max = self.optional(wire.max.as_ref(), version)?;
        if let (Some(at), Some(max), Some(own)) = (&wire.max, max, image.version)
            && max < own
        {
            self.conflict(at, format!("the image itself has version {own}"), "write that or a higher one");
            return None;
        }
        Some(max)
    }

    fn lock(&mut self, wire: &document::Lock) -> Option<settings::Lock> {
        let url = self.need(wire.fleetlock.as_ref(), "update.lock.fleetlock", |text| {
            ruled(rules::lock_server(text), text, "write it like \"https://lock.example.org\"")
        });
        let group = self.need(wire.group.as_ref(), "update.lock.group", |text| {
            ruled(rules::lock_group(text), text, "write it like \"edge\"")
        });
        Some(settings::Lock::FleetLock { url: url?, group: group? })
    }

    /// The image's name names its line of releases, too, where it may be half as long.
    fn product(&mut self, name: Option<&At<String>>) -> Option<Label> {
        let at = name?;
        let product = at.get().parse().ok();
        // What is no name at all was said already.
        if product.is_none() && Name::parse(at.get()).is_ok() {
            self.conflict(
                at,
                "with `[update]` a name has at most 32 characters",
                "choose a shorter name: it is that of a line of releases",
            );
        }
        product
    }

    /// No server's certificate is trusted but by an authority that the recipe names.
    fn trusted(&mut self, wire: &document::Update) {
        if wire.authorities.is_some() {
            return;
        }
        let repositories = wire.repositories.iter().flat_map(|list| list.get());
        let lock = wire.lock.iter().filter_map(|lock| lock.fleetlock.as_ref());
        let gates = wire.health.iter().flat_map(|health| health.gates.iter().flatten());
        let gates = gates.filter_map(|gate| gate.http.as_ref());
        let first = repositories.chain(lock).chain(gates).find(|at| at.get().starts_with("https://"));
        if let Some(at) = first {
            self.conflict(
                at,
                "an https:// address needs `authorities`: no certificate is trusted but by one that the recipe names",
                "add `authorities = \"update/authorities.pem\"`, a PEM file of the authorities that the server's certificate comes from",
            );
        }
    }
}

/// A value that follows a rule of the settings.
pub(super) fn ruled(rule: Result<(), BadSettings>, text: &str, remedy: &str) -> Result<String, Refused> {
    match rule {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => refused(error.to_string(), remedy),
    }
}

/// A value that reads itself.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str, example: &str) -> Result<T, Refused> {
    text.parse().or_else(|error: T::Err| refused(error.to_string(), format!("write it like \"{example}\"")))
}
