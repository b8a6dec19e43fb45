//! The forms in which state is kept, side by side: whoever is on trial writes only what the system before it reads, or a copy.
//!
//! A form has a number and a folder of that name. A system reads and writes the folder of its own form and no other. While it is on
//! trial in a newer form than the one that was kept last, its folder is a copy of that one, made and migrated anew in each boot; with
//! its blessing its form is the one that is kept. So whatever becomes of a trial, the old system runs on with its own state.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | on trial: `N` and `N.part` removed | the form that was kept is as it was, here and below |
//! | 2 | what was kept copied to `N.part`, migrated, flushed | a part, which the next boot removes |
//! | 3 | `N.part` renamed to `N`, `fsync` of the folder | a part, or a copy, which the next boot makes anew |
//! | 4 | blessed: `kept` says `N` and what it said before | one or the other; a blessed boot goes on with `N` |
//! | 5 | every other form is removed | some of them are left, and removed by the next good boot |
//!
//! The form that was kept before stays for a way back: the system that reads it begins with what it knew when it was left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use coracle_log::{info, warning};

use crate::file::{self, failed};
use crate::keep::{Kept, Store};

/// The longest `kept`.
const MAX_KEPT: u64 = 64;

/// The form that a program writes, and its way there.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// Its number, from 1.
    pub current: u32,
    /// From each older form to the next one.
    pub migrations: &'static [Migration],
}

/// The way from one form to the next.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The form that it begins with.
    pub from: u32,
    /// Changes a folder of that form, a copy, into one of the next.
    pub run: fn(&Path) -> io::Result<()>,
}

/// How far the system is that asks.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'m> {
    /// It is blessed.
    Good,
    /// It is on trial. The path is of a mark that is gone with the boot.
    OnTrial(&'m Path),
}

/// Why there is no state in the form that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a folder.
    #[error(transparent)]
    File(#[from] file::Failed),
    /// The older form is one that this program does not know any more.
    #[error("no way leads from form {from} of the state to form {to}: update by way of a release between")]
    NoWay {
        /// What is kept.
        from: u32,
        /// What is wanted.
        to: u32,
    },
}

/// State in one form.
#[derive(Debug, Clone)]
pub struct State {
    top: PathBuf,
    current: u32,
    is_outlived: bool,
}

/// What `kept` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Said {
    now: Option<u32>,
    before: Option<u32>,
}

impl State {
    /// The state in a program's form, below `top`, which must be there.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed but the folder of this form.
    pub fn open(top: &Path, forms: &Forms, standing: Standing<'_>) -> Result<Self, Error> {
        let mut state = Self { top: top.to_owned(), current: forms.current, is_outlived: false };
        let folder = state.folder();
        let kept = match state.kept()?.now {
            Some(kept) => kept,
            // What is there says it; a new machine has nothing.
            None => {
                let older = state.forms()?.into_keys().filter(|number| *number < forms.current);
                older.max().unwrap_or(forms.current)
            }
        };
        let is_there = folder.is_dir();
        if kept < forms.current {
            let is_made = match standing {
                // Blessed, and not yet said so.
                Standing::Good => is_there,
                Standing::OnTrial(mark) => is_there && mark.exists(),
            };
            if !is_made {
                state.take_over(kept, forms)?;
            }
            if let Standing::OnTrial(mark) = standing {
                File::create(mark).map_err(failed("mark", mark))?;
            }
            return Ok(state);
        }
        state.is_outlived = kept > forms.current;
        if state.is_outlived && !is_there {
            warning!("state begins anew form={} kept={kept}", forms.current);
        }
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        Ok(state)
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.top.join(self.current.to_string())
    }

    /// Whether a newer system was blessed since this form was written.
    pub fn is_outlived(&self) -> bool {
        self.is_outlived
    }

    /// The system that reads this form is blessed: every other form goes but the one before it.
    ///
    /// # Errors
    /// [`Error::File`]; this form, or the one before, is the one that is kept.
    pub fn keep(&mut self) -> Result<(), Error> {
        let mut said = self.kept()?;
        if said.now != Some(self.current) {
            said = Said { now: Some(self.current), before: said.now };
            let store = self.store()?;
            store.save(said.to_string().as_bytes()).map_err(failed("write", self.top.join(KEPT)))?;
            info!("state kept form={}", self.current);
        }
        self.is_outlived = false;
        for (number, paths) in self.forms()? {
            let is_kept = [said.now, said.before].contains(&Some(number));
            let is_part = |path: &Path| path.extension().is_some();
            paths.iter().filter(|path| !is_kept || is_part(path)).try_for_each(|path| remove(path))?;
        }
        Ok(())
    }

    /// The forms that there are, whole or in part.
    fn forms(&self) -> Result<BTreeMap<u32, Vec<PathBuf>>, Error> {
        let mut forms: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(&self.top).map_err(failed("list", &self.top))? {
            let path = entry.map_err(failed("list", &self.top))?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            let is_ours = path.extension().is_none_or(|extension| extension == PART);
            if let Some(number) = number.filter(|_| is_ours) {
                forms.entry(number).or_default().push(path);
            }
        }
        Ok(forms)
    }

    /// Makes this form of an older one.
    fn take_over(&self, kept: u32, forms: &Forms) -> Result<(), Error> {
        let no_way = Error::NoWay { from: kept, to: self.current };
        let way: Vec<_> = (kept..self.current)
            .map_while(|from| forms.migrations.iter().find(|migration| migration.from == from))
            .collect();
        if way.len() != (self.current - kept) as usize {
            return Err(no_way);
        }
        let folder = self.folder();
        let part = folder.with_extension(PART);
        remove(&folder)?;
        remove(&part)?;
        copy(&self.top.join(kept.to_string()), &part)?;
        for migration in way {
            (migration.run)(&part).map_err(failed("migrate", &part))?;
        }
        let top = File::open(&self.top).map_err(failed("open", &self.top))?;
        rustix::fs::syncfs(&top).map_err(|errno| failed("flush", &self.top)(errno.into()))?;
        fs::rename(&part, &folder).map_err(failed("rename", &part))?;
        top.sync_all().map_err(failed("flush", &self.top))?;
        info!("state taken over form={} from={kept}", self.current);
        Ok(())
    }

    fn kept(&self) -> Result<Said, Error> {
        let path = self.top.join(KEPT);
        let bytes = self.store()?.load().map_err(failed("read", &path))?.unwrap_or_default();
        Ok(Said::parse(&bytes))
    }

    fn store(&self) -> Result<Kept, Error> {
        Ok(Kept::open(&self.top, KEPT, MAX_KEPT).map_err(failed("open", &self.top))?)
    }
}

/// The file that names the form that is kept, and the one before it.
const KEPT: &str = "kept";
/// The ending of a copy that is not whole yet.
const PART: &str = "part";

impl Said {
    /// Of bytes that are nothing of the kind nothing is known, as on a new machine.
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        Self { now: numbers.next(), before: numbers.next() }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = [self.now, self.before].into_iter().flatten().map(|n| n.to_string()).collect();
        writeln!(f, "{}", numbers.join(" "))
    }
}

/// Files and folders; there is nothing else in state.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(failed("make", to))?;
    for entry in fs::read_dir(from).map_err(failed("list", from))? {
        let entry = entry.map_err(failed("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed("look at", &source))?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(failed("copy", &source))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", folder)(error).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mark(folder: &Path, text: &str) -> io::Result<()> {
        let journal = folder.join("journal");
        let old = fs::read_to_string(&journal)?;
        fs::write(journal, format!("{old}{text}"))
    }

    const FIRST: Forms = Forms { current: 1, migrations: &[] };
    const SECOND: Forms = Forms {
        current: 2,
        migrations: &[Migration { from: 1, run: |folder| with_mark(folder, ", migrated") }],
    };
    const THIRD: Forms = Forms {
        current: 3,
        migrations: &[
            Migration { from: 1, run: |folder| with_mark(folder, ", migrated") },
            Migration { from: 2, run: |folder| with_mark(folder, ", again") },
        ],
    };

    /// A state partition, and what is gone with a boot.
    struct Machine {
        top: tempfile::TempDir,
        run: tempfile::TempDir,
    }

    impl Machine {
        /// One that was blessed with the first form.
        fn first() -> Self {
            let machine = Self { top: tempfile::tempdir().unwrap(), run: tempfile::tempdir().unwrap() };
            let mut state = machine.good(&FIRST);
            write(&state, "orders");
            state.keep().unwrap();
            machine
        }

        fn good(&self, forms: &Forms) -> State {
            State::open(self.top.path(), forms, Standing::Good).unwrap()
        }

        fn mark(&self) -> PathBuf {
            self.run.path().join("mark")
        }

        fn trial(&self, forms: &Forms) -> Result<State, Error> {
            State::open(self.top.path(), forms, Standing::OnTrial(&self.mark()))
        }

        fn reboots(&self) {
            let _ = fs::remove_file(self.mark());
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.top.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn write(state: &State, text: &str) {
        fs::write(state.folder().join("journal"), text).unwrap();
    }

    fn read(state: &State) -> String {
        fs::read_to_string(state.folder().join("journal")).unwrap()
    }

    #[test]
    fn whatever_a_trial_writes_the_old_system_runs_on_with_its_own() {
        let machine = Machine::first();
        for _ in 0..3 {
            let new = machine.trial(&SECOND).unwrap();
            assert_eq!(read(&new), "orders, migrated", "made anew in each boot");
            write(&new, "spoilt");
            assert_eq!(read(&machine.trial(&SECOND).unwrap()), "spoilt", "but once in a boot");
            machine.reboots();
        }
        let mut old = machine.good(&FIRST);
        assert_eq!((read(&old), old.is_outlived()), ("orders".to_owned(), false));
        old.keep().unwrap();
        assert_eq!(machine.names(), ["1", "kept"]);
    }

    #[test]
    fn what_is_blessed_goes_on_with_what_it_wrote_and_has_a_way_back() {
        let machine = Machine::first();
        fs::create_dir(machine.top.path().join("1/trust")).unwrap();
        fs::write(machine.top.path().join("1/trust/root"), "root").unwrap();
        let mut new = machine.trial(&SECOND).unwrap();
        write(&new, "blessed");
        machine.reboots();
        // The power went between the blessing and the word of it.
        assert_eq!(read(&machine.good(&SECOND)), "blessed");
        new.keep().unwrap();
        assert_eq!(fs::read_to_string(new.folder().join("trust/root")).unwrap(), "root");
        assert_eq!(machine.names(), ["1", "2", "kept"]);

        let mut old = machine.good(&FIRST);
        assert_eq!((read(&old), old.is_outlived()), ("orders".to_owned(), true));
        old.keep().unwrap();
        assert!(!old.is_outlived() && !machine.good(&FIRST).is_outlived());
        assert_eq!(machine.names(), ["1", "2", "kept"]);
    }

    #[test]
    fn forms_are_skipped_where_every_way_is_known() {
        let machine = Machine::first();
        let mut third = machine.trial(&THIRD).unwrap();
        assert_eq!(read(&third), "orders, migrated, again");
        third.keep().unwrap();
        let far = Forms { current: 5, migrations: THIRD.migrations };
        let refused = machine.trial(&far);
        assert!(matches!(refused, Err(Error::NoWay { from: 3, to: 5 })), "{refused:?}");
        assert_eq!(machine.names(), ["1", "3", "kept"]);
    }

    #[test]
    fn a_migration_that_fails_or_is_cut_short_changes_nothing() {
        let machine = Machine::first();
        let fails = Forms {
            current: 2,
            migrations: &[Migration {
                from: 1,
                run: |folder| with_mark(folder, "half").and(Err(io::ErrorKind::StorageFull.into())),
            }],
        };
        for _ in 0..2 {
            let failed = machine.trial(&fails);
            assert!(
                matches!(failed, Err(Error::File(file::Failed { operation: "migrate", .. }))),
                "{failed:?}"
            );
        }
        assert_eq!(machine.names(), ["1", "2.part", "kept"]);
        assert_eq!(read(&machine.trial(&SECOND).unwrap()), "orders, migrated");
        machine.good(&FIRST).keep().unwrap();
        assert_eq!(
            (machine.names(), read(&machine.good(&FIRST))),
            (vec!["1".into(), "kept".into()], "orders".into())
        );
    }

    #[test]
    fn without_the_word_of_it_the_older_form_is_the_one_that_was_kept() {
        let machine = Machine::first();
        fs::remove_file(machine.top.path().join("kept")).unwrap();
        assert_eq!(read(&machine.good(&FIRST)), "orders");
        let mut new = machine.trial(&SECOND).unwrap();
        assert_eq!(read(&new), "orders, migrated");
        new.keep().unwrap();
        assert_eq!(machine.names(), ["2", "kept"]);
    }

    #[test]
    fn an_older_system_than_any_that_ran_begins_anew() {
        let machine = Machine { top: tempfile::tempdir().unwrap(), run: tempfile::tempdir().unwrap() };
        machine.good(&SECOND).keep().unwrap();
        let old = machine.trial(&FIRST).unwrap();
        assert!(old.is_outlived() && fs::read_dir(old.folder()).unwrap().next().is_none());
        for nonsense in [&b"\xff"[..], b"", b"one"] {
            assert_eq!(Said::parse(nonsense), Said::default());
        }
    }
}
