//! A whole image from a recipe, judged by the stock tools and by a second build of it.
//!
//! The kernel is the real one of the virtio profile: from the cache, or built when that has none. The programs are files of the
//! length that real ones have; what they do at boot is for the machine tests.

mod update;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use coracle_image::Error;
use coracle_image::build::{Built, EPOCH, Pinned, Request, Sources, build};
use coracle_image::release::Partition;
use coracle_layers::{Config, Files, PackRequest, pack};
use coracle_rollout::Time;
use coracle_runtime::plan::Plan;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const RECIPE: &str = r#"
name = "judged"
version = "1.2.3"
[kernel]
profile = "virtio"
[image]
esp = "272MiB"
slot = "64MiB"
verity = "1MiB"
formats = ["raw", "raw.zst", "qcow2", "vmdk", "vhd", "direct"]
[[images]]
path = "app"
name = "app:1"
[[pods]]
manifest = "pod.yaml"
[[files]]
source = "motd"
path = "/etc/motd"
[console]
devices = ["ttyS0"]
"#;
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: app\nspec:\n  containers:\n  - name: app\n    image: app:1\n";

/// The same, of which nothing but the parts is wanted.
fn quick() -> String {
    RECIPE.replace(r#"["raw", "raw.zst", "qcow2", "vmdk", "vhd", "direct"]"#, r#"["direct"]"#)
}

/// A project with its image and programs, ready to be built.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("programs")).unwrap();
        for (name, len) in [("init", 1_300_000), ("netd", 900_000)] {
            // As programs do, they compress to less than half.
            let mut program = noise(name, len * 2 / 5);
            program.resize(len, 0);
            fs::write(at("programs").join(name), program).unwrap();
        }
        fs::write(at("program"), noise("app", 300_000)).unwrap();
        fs::write(at("motd"), "hello\n").unwrap();
        fs::write(at("coracle.toml"), RECIPE).unwrap();
        fs::write(at("pod.yaml"), POD).unwrap();
        let files = Files::Binary { source: at("program"), target: "app".into() };
        let config = Config { entrypoint: vec!["/app".into()], ..Config::default() };
        // The program must be executable to be one.
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(at("program"), fs::Permissions::from_mode(0o755)).unwrap();
        pack(&PackRequest { files, config, reference: None }, &at("app")).unwrap();
        Self { folder }
    }

    /// One whose disk is not kept.
    fn quick() -> Self {
        let project = Self::new();
        fs::write(project.path("coracle.toml"), quick()).unwrap();
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn request(&self) -> Request {
        Request {
            recipe: self.path("coracle.toml"),
            out: self.path("out"),
            sources: Sources::with_programs(self.path("programs")),
            kernel_cache: coracle_kernel::default_cache().unwrap(),
            kernel_packer: env!("CARGO_BIN_EXE_coracle").into(),
            epoch: EPOCH,
            pinned: Pinned::Now(Time::from_unix(EPOCH)),
            update_lock: false,
        }
    }

    fn build(&self) -> Result<Built, Error> {
        build(&self.request(), &mut |_| ())
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.path(&format!("out/judged_1.2.3.{suffix}"))
    }
}

/// Bytes that do not compress, always the same.
fn noise(seed: &str, len: usize) -> Vec<u8> {
    let block = |index: usize| Sha256::digest(format!("{seed}{index}"));
    (0..len.div_ceil(32)).flat_map(block).take(len).collect()
}

/// The image that the tests look at and do not change.
fn image() -> &'static (Project, Built) {
    static IMAGE: OnceLock<(Project, Built)> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let project = Project::new();
        let built = project.build().unwrap_or_else(|error| panic!("{}", chain(&error)));
        (project, built)
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let next = error.source().map(chain).unwrap_or_default();
    format!("{error}: {next}")
}

/// Runs a judge; what it prints if it finds nothing wrong.
fn judge(program: &str, arguments: &[&str], path: &Path) -> String {
    let search = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).arg(path).env("PATH", search).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{program}: {text}");
    text
}

/// A partition of the raw disk as a file of its own.
fn extracted(label: &str) -> tempfile::NamedTempFile {
    let (project, built) = image();
    let Partition { offset, bytes, .. } =
        built.release.partitions.iter().find(|one| one.label == label).unwrap().clone();
    let mut disk = File::open(project.file("raw")).unwrap();
    disk.seek(SeekFrom::Start(offset)).unwrap();
    let mut part = tempfile::NamedTempFile::new().unwrap();
    std::io::copy(&mut disk.take(bytes), &mut part).unwrap();
    part
}

#[test]
fn stock_tools_agree_with_the_disk() {
    let (project, built) = image();
    let table = judge("sgdisk", &["-v"], &project.file("raw"));
    assert!(table.contains("No problems found"), "{table}");
    judge("fsck.vfat", &["-n"], extracted("esp").path());
    judge("e2fsck", &["-fn"], extracted("state").path());
    let root = extracted("root-a");
    judge("fsck.erofs", &[], &project.file("root"));
    let hash = &built.release.root_hash;
    let (data, tree) = (project.file("root"), project.file("verity"));
    let verify = ["verify", data.to_str().unwrap(), tree.to_str().unwrap()];
    judge("veritysetup", &verify, Path::new(hash));
    let mut head = vec![0; fs::metadata(project.file("root")).unwrap().len() as usize];
    File::open(root.path()).unwrap().read_exact(&mut head).unwrap();
    assert!(head == fs::read(project.file("root")).unwrap(), "slot A holds the root");
    for (label, zeros) in [("root-b", true), ("verity-b", true), ("boot-record", true), ("verity-a", false)] {
        let empty = fs::read(extracted(label).path()).unwrap().iter().all(|byte| *byte == 0);
        assert_eq!(empty, zeros, "{label}");
    }
}

#[test]
fn stock_tools_agree_with_the_formats() {
    let (project, built) = image();
    judge("qemu-img", &["check"], &project.file("qcow2"));
    let raw = project.file("raw");
    let compare = |format: &str, suffix: &str| {
        let (raw, other) = (raw.to_str().unwrap().to_owned(), project.file(suffix));
        judge("qemu-img", &["compare", "-f", "raw", "-F", format, &raw], &other);
    };
    for (format, suffix) in [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vpc", "vhd")] {
        compare(format, suffix);
    }
    judge("zstd", &["--test", "--long=27"], &project.file("raw.zst"));
    for (name, file) in &built.summary.files {
        let bytes = fs::read(project.path("out").join(name)).unwrap();
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((bytes.len() as u64, sha256), (file.bytes, file.sha256.clone()), "{name}");
        assert!(file.budget.is_none_or(|budget| file.bytes <= budget), "{name}: {file:?}");
    }
    let mut written: Vec<String> = fs::read_dir(project.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "summary.json")
        .collect();
    written.sort();
    assert_eq!(
        written,
        built.summary.files.keys().cloned().collect::<Vec<_>>(),
        "nothing else is left behind"
    );
}

#[test]
fn the_boot_file_says_what_it_boots() {
    let (project, built) = image();
    let sections = judge("objdump", &["-h"], &project.file("efi"));
    for section in [".osrel", ".cmdline", ".uname", ".sbat", ".linux", ".initrd"] {
        assert!(sections.contains(section), "{section} is missing: {sections}");
    }
    let esp = extracted("esp");
    let listed = judge("mdir", &["-/", "-b", "-i"], esp.path());
    let mut files: Vec<_> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("::/"))
        .filter(|path| !path.ends_with('/'))
        .collect();
    files.sort_unstable();
    assert_eq!(files, built.release.boot_files.keys().map(String::as_str).collect::<Vec<_>>());
    assert!(files.contains(&"EFI/Linux/coracle_1.2.3.efi"));
    assert_eq!(fs::read_to_string(project.file("cmdline")).unwrap(), built.release.cmdline);
    let program = judge("cpio", &["-t", "--quiet", "-F"], &project.file("initrd"));
    assert_eq!(program, "dev\nproc\nsys\nrun\nroot\nsbin\ndev/console\nsbin/init\n");
}

#[test]
fn our_own_inspection_agrees() {
    let (project, built) = image();
    let report = coracle_image::inspect::inspect(&project.file("raw")).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert!(report.release_compared);
    assert_eq!(report.entries[0].root_hash.as_ref(), Some(&built.release.root_hash));
}

#[test]
fn the_root_holds_readable_plans() {
    let (project, built) = image();
    let folder = tempfile::tempdir().unwrap();
    let extract = format!("--extract={}", folder.path().join("root").display());
    judge("fsck.erofs", &[&extract], &project.file("root"));
    let plan = |path: &str| {
        Plan::decode(&fs::read(folder.path().join("root/usr/share/coracle").join(path)).unwrap()).unwrap()
    };
    assert_eq!(plan("services/netd.plan").name.as_str(), "netd");
    let app = plan("pods/app.plan");
    let image = &built.release.images[0].digest["sha256:".len()..][..16];
    let program = folder.path().join(format!("root/usr/share/coracle/images/{image}/app"));
    assert_eq!(fs::read(program).unwrap(), noise("app", 300_000));
    assert_eq!(app.argv[0].to_str(), Ok("/app"));
    assert_eq!(fs::read_to_string(folder.path().join("root/etc/motd")).unwrap(), "hello\n");
}

#[test]
fn another_folder_and_another_day_give_the_same_bytes() {
    let (_, first) = image();
    let project = Project::new();
    let second = project.build().unwrap();
    assert_eq!(second, *first);
}

#[test]
fn the_lock_is_obeyed_until_it_is_renewed() {
    let project = Project::quick();
    let lock = project.path("recipe.lock");
    let text = "[kernel]\nsource = \"0\"\n[boot]\nstub = \"0\"\nloader = \"0\"\n[tools]\nmke2fs = \"0\"\nrustc = \"0\"\n";
    fs::write(&lock, text).unwrap();
    match project.build() {
        Err(Error::Locked { differences, .. }) => assert_eq!(differences.len(), 6, "{differences:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(&lock).unwrap(), text);
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 0, "nothing was written");
    let renewed = Request { update_lock: true, ..project.request() };
    let first = build(&renewed, &mut |_| ()).unwrap();
    assert_eq!(project.build().unwrap(), first, "in a folder that has a build");
}

#[test]
fn what_does_not_fit_is_refused() {
    let project = Project::quick();
    let with = |from: &str, to: &str| {
        fs::write(project.path("coracle.toml"), quick().replace(from, to)).unwrap();
        project.build()
    };
    let budget = with("formats", "budget = \"1MiB\"\nformats");
    assert!(matches!(budget, Err(Error::OverBudget { budget: 0x10_0000, .. })), "{budget:?}");
    let init = fs::read(project.path("programs/init")).unwrap();
    fs::write(project.path("programs/init"), [init.clone(), vec![0; 300_000]].concat()).unwrap();
    let fat = with("", "");
    assert!(matches!(fat, Err(Error::OverBudget { ref file, .. }) if file == "init"), "{fat:?}");
    fs::write(project.path("programs/init"), init).unwrap();
    fs::write(project.path("motd"), noise("motd", 17 << 20)).unwrap();
    let slot = with("slot = \"64MiB\"", "slot = \"16MiB\"");
    assert!(matches!(slot, Err(Error::NoRoom { key: "image.slot", .. })), "{slot:?}");
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 0, "nothing is left of a failed build");
}

#[test]
fn pods_and_images_must_match() {
    let project = Project::quick();
    fs::write(project.path("pod.yaml"), POD.replace("app:1", "app:2")).unwrap();
    let gone = project.build();
    assert!(matches!(gone, Err(Error::PodImage { ref known, .. }) if known == &["app:1"]), "{gone:?}");
    fs::write(project.path("pod.yaml"), POD).unwrap();
    let twice = quick().replace("[[files]]", "[[pods]]\nmanifest = \"pod.yaml\"\n[[files]]");
    fs::write(project.path("coracle.toml"), twice).unwrap();
    assert!(matches!(project.build(), Err(Error::PodTwice { .. })));
    let many = "[[pods]]\nmanifest = \"pod.yaml\"\n".repeat(512) + "[[files]]";
    fs::write(project.path("coracle.toml"), quick().replace("[[files]]", &many)).unwrap();
    let many = project.build();
    assert!(matches!(many, Err(Error::Pods { count: 513 })), "{many:?}");
    let twice = quick().replace("[[pods]]", "[[images]]\npath = \"app\"\nname = \"app:1\"\n[[pods]]");
    fs::write(project.path("coracle.toml"), twice).unwrap();
    assert!(matches!(project.build(), Err(Error::ImageTwice { .. })));
}
