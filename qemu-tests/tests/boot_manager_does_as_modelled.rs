//! The boot manager as it ships starts the entry that the model of it says, and leaves the names that the model says.

use std::fs::File;

use coracle_loader as loader;
use coracle_qemu_tests::esp::{self, FOLDER, is_found_by_content};
use coracle_qemu_tests::machine::Writes;
use coracle_qemu_tests::{Config, Deadline, Error, Machine, image};
use coracle_uki::{Sections, Stub, assemble};

const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Seconds for firmware, boot manager and the first lines of a kernel.
const BOOT: u64 = 120;
/// What every entry's kernel says, with the version behind it.
const SAYS: &str = "guest=";

/// What is in the folder of the entries, in brackets without content, and what `loader.conf` pins.
struct Case {
    files: &'static [&'static str],
    pin: Option<&'static str>,
}

const CASES: [Case; 8] = [
    Case { files: &["coracle_1.0.0.efi", "coracle_1.1.0+3-0.efi"], pin: None },
    Case { files: &["coracle_1.0.0.efi", "coracle_1.1.0+0-3.efi"], pin: None },
    Case { files: &["coracle_1.0.0+0-1.efi", "coracle_1.1.0+0-3.efi"], pin: None },
    Case { files: &["coracle_1.9.0.efi", "coracle_1.10.0+1-2.efi", "coracle_1.0.0.efi"], pin: None },
    Case { files: &["coracle_1.0.0+2.efi", "(coracle_1.1.0.efi)", "coracle_1.2.0+3-0.tmp"], pin: None },
    Case { files: &["coracle_1.0.0.efi", "coracle_1.1.0+3-0.efi"], pin: Some("coracle_1.0.0*") },
    // As the update agent names one: whether the loader knows it with its counter or without.
    Case { files: &["coracle_1.0.0+0-3.efi", "coracle_1.1.0.efi"], pin: Some("coracle_1.0.0[+.]*") },
    Case { files: &["coracle_1.0.0.efi", "coracle_1.1.0.efi"], pin: Some("coracle_1.0.0[+.]*") },
];

#[test]
fn the_entry_is_the_models_and_so_are_the_names() -> Result<(), Error> {
    let kernel = std::fs::read(image::kernel()?).unwrap();
    let mut differ = Vec::new();
    for case in &CASES {
        let (model, real) = (modelled(case), booted(case, &kernel)?);
        eprintln!("{:?} {:?}: {real:?}", case.files, case.pin);
        if model != real {
            differ.push(format!("{:?} {:?}: {real:?}, not {model:?}", case.files, case.pin));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    Ok(())
}

/// The version that starts, and the names in the folder then, in order.
type Outcome = (String, Vec<String>);

fn modelled(case: &Case) -> Outcome {
    let files: Vec<_> = case.files.iter().map(|name| seen_by_loader(name)).collect();
    let pins = loader::Pins { configured: case.pin.map(str::to_owned), ..loader::Pins::default() };
    let chosen = loader::choose(&files, &pins).expect("an entry");
    let now = |file: &loader::File| {
        let renamed = if file == chosen { file.after_start() } else { None };
        renamed.unwrap_or_else(|| file.name.clone())
    };
    let mut names: Vec<_> = files.iter().map(now).collect();
    names.sort();
    (version_in(&chosen.name).to_owned(), names)
}

fn seen_by_loader(name: &str) -> loader::File {
    let content = match bare(name) {
        bare if bare == name => {
            loader::Content::Whole(loader::Facts::of(&os_release(version_in(name))).expect("a name"))
        }
        _ => loader::Content::Nothing,
    };
    loader::File { name: bare(name).to_owned(), content }
}

fn booted(case: &Case, kernel: &[u8]) -> Result<Outcome, Error> {
    let disk = disk_of(case, kernel);
    let variables = tempfile::tempdir().unwrap();
    let config = Config::uefi(variables.path().join("variables")).without_network();
    let mut machine = Machine::start(config.disk(disk.path(), Writes::Stay))?;
    let line = machine.wait_for(SAYS, Deadline::seconds(BOOT))?;
    machine.cut_power()?;
    let version = line.split(SAYS).nth(1).and_then(|rest| rest.split_whitespace().next());
    let files = esp::files(&File::open(disk.path()).unwrap(), is_found_by_content);
    let in_folder = |path: &str| path.strip_prefix(FOLDER)?.strip_prefix('/').map(str::to_owned);
    let mut names: Vec<_> = files.iter().filter_map(|(path, _)| in_folder(path)).collect();
    names.sort();
    Ok((version.unwrap_or_default().to_owned(), names))
}

fn disk_of(case: &Case, kernel: &[u8]) -> tempfile::NamedTempFile {
    let pin = case.pin.map_or(String::new(), |pin| format!("default {pin}\n"));
    let loader = std::fs::read(LOADER).unwrap();
    let mut files = vec![
        ("EFI/BOOT/BOOTX64.EFI".to_owned(), loader),
        ("loader/loader.conf".to_owned(), format!("timeout 0\n{pin}").into_bytes()),
    ];
    for name in case.files {
        let content = if bare(name) == *name { uki(version_in(name), kernel) } else { vec![] };
        files.push((format!("{FOLDER}/{}", bare(name)), content));
    }
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
    esp::disk_of(&files)
}

/// An image whose kernel says the version, and then finds no root.
fn uki(version: &str, kernel: &[u8]) -> Vec<u8> {
    let stub = std::fs::read(STUB).unwrap();
    let cmdline = format!("console=ttyS0 panic=-1 no_timer_check {SAYS}{version}");
    let os_release = os_release(version);
    let sections = Sections {
        osrel: os_release.as_bytes(),
        cmdline: cmdline.as_bytes(),
        uname: b"6.12",
        sbat: None,
        linux: kernel,
        initrd: None,
    };
    assemble(&Stub::parse(&stub).unwrap(), &sections).unwrap()
}

fn os_release(version: &str) -> String {
    format!("ID=coracle\nIMAGE_ID=coracle\nIMAGE_VERSION={version}\nPRETTY_NAME=\"Coracle {version}\"\n")
}

fn bare(name: &str) -> &str {
    name.trim_matches(['(', ')'])
}

/// `1.2.3` of `coracle_1.2.3+3-0.efi`.
fn version_in(name: &str) -> &str {
    let version = bare(name).trim_start_matches("coracle_").trim_end_matches(".efi").trim_end_matches(".tmp");
    version.split('+').next().unwrap_or_default()
}
