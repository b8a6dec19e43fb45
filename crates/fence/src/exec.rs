//! The last steps of a child: nothing of the parent left open, a filter, another program.
//!
//! <https://man7.org/linux/man-pages/man2/execve.2.html>. Everything that takes memory is made beforehand, in the parent.

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::{AsRawFd, OwnedFd},
    ptr,
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, accessat, stat},
    io::Errno,
};

use crate::{
    error::last,
    filter::{self, Filter},
};

/// Strings as `execve` takes them: pointers with a null behind the last.
#[derive(Debug)]
struct Strings {
    pointers: Vec<*const c_char>,
    /// What they point to; a C string's bytes stay where they are when its owner moves.
    _owned: Vec<CString>,
}

impl Strings {
    fn new(strings: &[CString]) -> Self {
        let owned = strings.to_vec();
        let pointers = owned.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _owned: owned }
    }
}

/// A program to become.
#[derive(Debug)]
pub struct Program {
    candidates: Vec<CString>,
    argv: Strings,
    env: Strings,
    filter: Filter,
}

/// What failed on the way to another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Closing what the parent left open.
    Close,
    /// Installing the filter.
    Filter,
    /// Every candidate.
    Exec,
}

impl Program {
    /// The first of `candidates` that can be executed, with arguments, environment and a filter.
    #[must_use]
    pub fn new(candidates: &[CString], argv: &[CString], env: &[CString], filter: Filter) -> Self {
        Self { candidates: candidates.to_vec(), argv: Strings::new(argv), env: Strings::new(env), filter }
    }

    /// Whether one of the candidates could be executed, by the look of it.
    ///
    /// # Errors
    /// As [`run`](Self::run) would say it.
    pub fn find(&self) -> Result<(), Errno> {
        let mut answer = Errno::NOENT;
        for candidate in &self.candidates {
            match executable(candidate) {
                Ok(()) => return Ok(()),
                Err(Errno::ACCESS) => answer = Errno::ACCESS,
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(other) => return Err(other),
            }
        }
        Err(answer)
    }

    /// Becomes the program, or writes what `failed` makes of the failure to `report` and ends with code 127.
    ///
    /// Descriptors 0, 1 and 2 stay, and `kept` more; `report`, which is none of them, is closed by the exec, all others are closed before it: the kernel opens the
    /// program's interpreter before it closes what is marked, so a script that names `/proc/self/fd/N` would reach a folder
    /// of the host (CVE-2024-21626). Nobody who owns one of them runs again, for this never returns.
    pub fn run(&self, report: OwnedFd, kept: u32, failed: impl FnOnce(Step, Errno) -> [u8; 8]) -> ! {
        let (step, errno) = self.attempt(&report, kept);
        let word = failed(step, errno);
        // The reader sees the end of the pipe in any case; there is nobody else to tell.
        let _ = rustix::io::write(&report, &word);
        // SAFETY: _exit takes any code, returns to nobody and runs no handler that the parent registered.
        unsafe { libc::_exit(127) }
    }

    fn attempt(&self, report: &OwnedFd, kept: u32) -> (Step, Errno) {
        let first = kept.saturating_add(3);
        let report = report.as_raw_fd() as u32; // A descriptor is never negative.
        for (first, last) in [(first, report.saturating_sub(1)), ((report + 1).max(first), u32::MAX)] {
            if let Err(errno) = close(first, last) {
                return (Step::Close, errno);
            }
        }
        if !self.filter.program.is_empty()
            && let Err(error) = filter::install(&self.filter.program, self.filter.flags)
        {
            return (Step::Filter, error.errno());
        }
        (Step::Exec, self.exec())
    }

    /// As `execvp`: the search goes on past what is missing or forbidden, and forbidden is the better answer.
    fn exec(&self) -> Errno {
        let mut answer = Errno::NOENT;
        for candidate in &self.candidates {
            match self.exec_one(candidate) {
                Errno::ACCESS => answer = Errno::ACCESS,
                Errno::NOENT | Errno::NOTDIR => {}
                other => return other,
            }
        }
        answer
    }

    fn exec_one(&self, path: &CStr) -> Errno {
        // SAFETY: both lists end with a null pointer, and all before it point to C strings that `self` owns; the kernel
        // only reads them.
        unsafe { libc::execve(path.as_ptr(), self.argv.pointers.as_ptr(), self.env.pointers.as_ptr()) };
        last()
    }
}

/// Whether a file is a program of this user's, judged by the effective ids.
fn executable(path: &CStr) -> Result<(), Errno> {
    if FileType::from_raw_mode(stat(path)?.st_mode) == FileType::Directory {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Closes a range of descriptors, whoever owns them; only [`Program::run`] may, as no owner runs after it.
fn close(first: u32, final_one: u32) -> Result<(), Errno> {
    if first > final_one {
        return Ok(());
    }
    // SAFETY: the call takes three integers. The owners of the descriptors are frames and statics of this process, none of
    // which runs again: the only caller becomes another program or ends.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, final_one, 0) };
    if done == 0 { Ok(()) } else { Err(last()) }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, os::unix::fs::PermissionsExt};

    use rustix::{
        fs::{CWD, Mode, OFlags, openat},
        pipe::{PipeFlags, pipe_with},
        stdio::dup2_stdout,
    };

    use super::*;
    use crate::{
        clone::{Namespaces, spawn, tests::exit_code},
        filter::Flags,
    };

    fn c(texts: &[&str]) -> Vec<CString> {
        texts.iter().map(|&text| CString::new(text).unwrap()).collect()
    }

    /// The exit code, what the program printed and what it reported.
    fn outcome(program: &Program) -> (Option<i32>, String, Vec<u8>) {
        let (out, out_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (report, report_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut report_end = Some(report_end);
        let child = spawn(Namespaces::NONE, None, || {
            let Some(report_end) = report_end.take() else { return 99 };
            if dup2_stdout(&out_end).is_err() {
                return 99;
            }
            program.run(report_end, 0, |step, errno| {
                let [low, high] = (errno.raw_os_error() as u16).to_le_bytes();
                [step as u8, low, high, 0, 0, 0, 0, 0]
            })
        })
        .unwrap();
        drop((out_end, report_end));
        let (mut printed, mut word) = (String::new(), Vec::new());
        File::from(out).read_to_string(&mut printed).unwrap();
        File::from(report).read_to_end(&mut word).unwrap();
        (exit_code(&child), printed, word)
    }

    fn word(step: Step, errno: Errno) -> Vec<u8> {
        vec![step as u8, errno.raw_os_error() as u8, 0, 0, 0, 0, 0, 0]
    }

    #[test]
    fn the_program_has_its_words_and_no_other_descriptor() {
        let script = "echo \"$1 $NAME\"; cd /proc/self/fd; echo *";
        let program = Program::new(
            &c(&["/bin/sh"]),
            &c(&["sh", "-c", script, "0", "a"]),
            &c(&["NAME=b"]),
            Filter::default(),
        );
        // The shell's own listing opens a descriptor 3.
        assert_eq!(outcome(&program), (Some(0), "a b\n0 1 2 3\n".to_owned(), vec![]));
    }

    #[test]
    fn the_search_prefers_forbidden_to_missing_and_stops_at_the_first_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
        let plain = plain.to_str().unwrap();
        let below = format!("{plain}/x");
        let cases: [(&[&str], _); 4] = [
            (&["/nowhere"], word(Step::Exec, Errno::NOENT)),
            (&[plain, "/nowhere"], word(Step::Exec, Errno::ACCESS)),
            (&[&below], word(Step::Exec, Errno::NOENT)),
            (&[&below, plain, "/bin/true", "/nowhere"], vec![]),
        ];
        for (paths, want) in cases {
            let (code, _, got) = outcome(&Program::new(&c(paths), &c(&["x"]), &[], Filter::default()));
            assert_eq!((code, got), (Some(if want.is_empty() { 0 } else { 127 }), want), "{paths:?}");
        }
    }

    #[test]
    fn a_folder_of_the_parent_cannot_be_reached_on_the_way() {
        let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let path = format!("/proc/self/fd/{}/bin/true", root.as_raw_fd());
        assert!(std::fs::exists(&path).unwrap());
        let (code, _, got) = outcome(&Program::new(&c(&[&path]), &c(&["x"]), &[], Filter::default()));
        assert_eq!((code, got), (Some(127), word(Step::Exec, Errno::NOENT)));
    }

    #[test]
    fn a_filter_that_the_kernel_refuses_is_reported_as_such() {
        let outcome = |code, k, flags| {
            let filter = Filter { program: vec![libc::sock_filter { code, jt: 0, jf: 0, k }], flags };
            let (code, _, got) = outcome(&Program::new(&c(&["/bin/true"]), &c(&["x"]), &[], filter));
            (code, got)
        };
        let refused = (Some(127), word(Step::Filter, Errno::INVAL));
        assert_eq!(outcome(0x20, 0, Flags::NONE), refused);
        assert_eq!(outcome(0x06, 0x7fff_0000, Flags::WAIT_KILLABLE_RECV), refused);
        assert_eq!(outcome(0x06, 0x7fff_0000, Flags::LOG.and(Flags::SPEC_ALLOW)), (Some(0), vec![]));
    }
}
