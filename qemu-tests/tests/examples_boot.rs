//! What a newcomer runs first: the demonstration, as it stands in the README.

use std::process::Command;

use coracle_qemu_tests::image::repository;

#[test]
fn the_demonstration_ends_in_an_answer_from_the_container() {
    let output = Command::new("./dev").arg("demo").current_dir(repository()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\nHello from hello"), "{said}");
    assert!(said.contains("coracle: boot timeline"), "{said}");
}
