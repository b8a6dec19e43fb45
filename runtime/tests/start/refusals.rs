//! Starts that must fail, each at its stage.

use std::{
    ffi::CString,
    fs,
    os::{
        fd::AsRawFd,
        unix::fs::{PermissionsExt, symlink},
    },
};

use coracle_runtime::{
    Error,
    exit::Exit,
    plan::*,
    start::{Failure, Report, Stage, prepare},
};
use rustix::io::Errno;

use crate::harness::Container;

fn assert_fails(container: &Container, stage: Stage, errno: Errno) {
    let done = container.run();
    assert_eq!(done.report, Report::Failed(Failure { stage, item: 0, errno }), "{done:?}");
    assert_eq!((done.exit, done.output.as_str()), (Exit::Code(127), ""));
}

fn command(container: &mut Container, program: &str) {
    container.plan.argv = vec![CString::new(program).unwrap()];
}

#[test]
fn a_program_that_is_missing_or_forbidden_is_reported() {
    let mut container = Container::new(&[]);
    for missing in ["nothing", "/bin/nothing", "/bin/probe/x"] {
        command(&mut container, missing);
        assert_fails(&container, Stage::Exec, Errno::NOENT);
    }
    fs::set_permissions(container.path("bin/probe"), fs::Permissions::from_mode(0o644)).unwrap();
    command(&mut container, "probe");
    assert_fails(&container, Stage::Exec, Errno::ACCESS);
}

#[test]
fn an_image_that_points_its_mount_points_elsewhere_is_refused() {
    for (name, stage) in [("proc", Stage::Proc), ("sys", Stage::Sys), ("dev", Stage::Dev)] {
        for target in ["/tmp", "bin", "../../../../tmp", "/proc/self/cwd"] {
            let container = Container::new(&["args"]);
            symlink(target, container.path(name)).unwrap();
            assert_fails(&container, stage, Errno::LOOP);
        }
        let container = Container::new(&["args"]);
        fs::write(container.path(name), "").unwrap();
        assert_fails(&container, stage, Errno::NOTDIR);
    }
}

#[test]
fn a_hidden_path_that_leads_elsewhere_is_refused() {
    let mut container = Container::new(&["args"]);
    symlink("/bin", container.path("secret")).unwrap();
    container.plan.masked = vec![AbsPath::new("/secret").unwrap()];
    assert_fails(&container, Stage::Masked, Errno::LOOP);
    container.plan.readonly = vec![AbsPath::new("/secret/probe").unwrap()];
    assert_fails(&container, Stage::ReadOnly, Errno::LOOP);
}

#[test]
fn a_working_directory_is_a_folder_inside() {
    let host = fs::File::open("/").unwrap();
    let mut container = Container::new(&["args"]);
    let leak = format!("/proc/self/fd/{}", host.as_raw_fd());
    for (cwd, errno) in [("/nowhere", Errno::NOENT), ("/bin/probe", Errno::NOTDIR), (&leak, Errno::LOOP)] {
        container.plan.cwd = AbsPath::new(cwd).unwrap();
        assert_fails(&container, Stage::WorkingDirectory, errno);
    }
}

#[test]
fn an_image_or_a_layer_that_is_not_there_is_reported() {
    let mut container = Container::new(&["args"]);
    let used = tempfile::tempdir().unwrap();
    fs::create_dir(used.path().join("upper")).unwrap();
    container.plan.writable = Writable::State(AbsPath::new(used.path().to_str().unwrap()).unwrap());
    assert_fails(&container, Stage::Layer, Errno::EXIST);
    container.plan.writable = Writable::State(AbsPath::new("/proc/nowhere").unwrap());
    assert_fails(&container, Stage::Layer, Errno::NOENT);
    container.plan.root = Root::Image(AbsPath::new("/nowhere").unwrap());
    assert_fails(&container, Stage::Image, Errno::NOENT);
}

#[test]
fn a_filter_that_does_not_end_is_reported() {
    let mut container = Container::new(&["args"]);
    container.plan.seccomp.truncate(1);
    assert_fails(&container, Stage::Seccomp, Errno::INVAL);
}

#[test]
fn plans_that_cannot_be_meant_are_refused_before_anything_is_made() {
    let mut container = Container::new(&["args"]);
    container.plan.uid = 70_000;
    assert_eq!(prepare(&container.plan).err(), Some(Error::IdUnmapped { id: 70_000, size: 65_536 }));
    container.plan.uid = 0;
    container.plan.root = Root::Host;
    let refused = prepare(&container.plan).err();
    assert!(matches!(refused, Some(Error::Range { field: "writable", .. })), "{refused:?}");
}
