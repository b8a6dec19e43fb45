//! What a newcomer runs first: the demonstration, as it stands in the README, and the other examples.

use std::fs;
use std::process::Command;

use coracle_qemu_tests::image::{Image, repository};
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};

const BOOT: u64 = 180;

#[test]
fn the_demonstration_ends_in_an_answer_from_the_container() {
    let output = Command::new("./dev").arg("demo").current_dir(repository()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\nHello from hello"), "{said}");
    assert!(said.contains("coracle: boot timeline"), "{said}");
}

#[test]
fn two_pods_of_one_image_answer_side_by_side() -> Result<(), Error> {
    let specimen = Specimen::of(Image::example("pair")?)?;
    let mut machine = Machine::start(specimen.direct("")?.forward(8080).forward(8081))?;
    machine.wait_for("coracle: boot is good", Deadline::seconds(BOOT))?;
    for port in [8080, 8081] {
        let address = machine.forwarded(port)?;
        let response = http::get(address, "/", Deadline::seconds(BOOT))?;
        assert!(response.text().starts_with("Hello from "), "{}", response.text());
    }
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

#[test]
fn there_is_no_example_but_these() {
    let examples = fs::read_dir(repository().join("examples")).unwrap();
    let mut names: Vec<_> = examples.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["hello", "pair"], "each is built and booted above");
}
