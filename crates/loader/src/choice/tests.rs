use super::*;
use crate::file::Content;

/// `NAME`, or `NAME KEY VERSION`, where `-` is nothing.
fn file(text: &str) -> File {
    let mut words = text.split(' ');
    let name = words.next().unwrap().to_owned();
    let mut word = || words.next().filter(|word| *word != "-").map(str::to_owned);
    File { name, content: Content::Whole(Facts { sort_key: word(), version: word() }) }
}

fn files(texts: &[&str]) -> Vec<File> {
    texts.iter().map(|text| file(text)).collect()
}

#[test]
fn entries_stand_in_the_order_of_the_menu() {
    let cases: &[&[&str]] = &[
        // What is exhausted comes last, whatever else it is.
        &["c_1.0.0.efi c 1.0.0", "c_2.0.0+0-3.efi c 2.0.0"],
        &["z.efi", "a+0-1.efi a 9"],
        // One on trial and one without a counter are of one rank: the newer version is first.
        &["c_2.0.0+1-2.efi c 2.0.0", "c_1.0.0.efi c 1.0.0"],
        &["c_2.0.0.efi c 2.0.0", "c_1.0.0+3-0.efi c 1.0.0"],
        &["c_1.0.10.efi c 1.0.10", "c_1.0.9.efi c 1.0.9"],
        // A sort key before none, one key after the other, and the version only within one.
        &["a_1.efi a 1", "b_9.efi b 9", "0.efi"],
        &["a_1.efi a 1", "a_0.efi a -"],
        // Where nothing else tells them apart, the file name is read as a version.
        &["c_2.efi", "c_1.efi"],
        &["c_2.efi c 1", "c_1.efi c 1"],
        &["c_1+3-0.efi c 1", "c_1+2-9.efi c 1", "c_1.efi c 1"],
        &["c_1+0-4.efi c 1", "c_1+0-3.efi c 1"],
        // Names that read the same as versions: more tries left, fewer done.
        &["c_1+10-0.efi c 1", "c_1+2-0.efi c 1"],
        &["c_+3-0.efi c 1", "c__+03-0.efi c 1", "c++2-0.efi c 1"],
    ];
    for case in cases {
        let want: Vec<&str> = case.iter().map(|text| text.split(' ').next().unwrap()).collect();
        let mut files = files(case);
        let names = |files: &[File]| order(files).iter().map(|file| file.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&files), want);
        if !want.contains(&"c__+03-0.efi") {
            files.reverse();
            assert_eq!(names(&files), want, "from behind");
        }
    }
}

#[test]
fn what_is_no_entry_is_never_started() {
    let mut files = files(&["c_1.efi c 1", "c_2.efi c 2", "auto-x.efi a 9", ".x.efi a 9", "c_3.tmp c 3"]);
    files[1].content = Content::Nothing;
    assert_eq!(order(&files), [&files[0]]);
    files[0].content = Content::Nothing;
    assert_eq!(choose(&files, &Pins::default()), None);
}

#[test]
fn one_that_the_firmware_refuses_is_chosen_like_any_other() {
    let mut files = files(&["c_1.efi c 1", "c_2.efi c 2"]);
    files[1].content = Content::Refused(Facts { sort_key: Some("c".into()), version: Some("2".into()) });
    assert_eq!(choose(&files, &Pins::default()).unwrap().name, "c_2.efi");
}

#[test]
fn pins_go_before_the_order_and_do_not_look_at_tries() {
    let files = files(&["c_1.0.0.efi c 1.0.0", "c_1.1.0+0-3.efi c 1.1.0", "c_1.2.0.efi c 1.2.0"]);
    let (first, exhausted, newest) = ("c_1.0.0.efi", "c_1.1.0+0-3.efi", "c_1.2.0.efi");
    let pins = |one_shot, default, configured, last| {
        let pin = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Pins {
            one_shot: pin(one_shot),
            default: pin(default),
            configured: pin(configured),
            last_booted: pin(last),
        }
    };
    for (pins, want) in [
        (pins("", "", "", ""), newest),
        (pins(first, exhausted, newest, ""), first),
        (pins("", exhausted, first, ""), exhausted),
        (pins("", "", "C_1.1.0*", ""), exhausted),
        (pins("C_1.0.?.EFI", "", "", ""), first),
        // What means nothing is passed over.
        (pins("gone*", "", first, ""), first),
        (pins("gone", "gone", "gone", first), newest),
        // A pattern with several: the first in order.
        (pins("c_*", "", "", ""), newest),
        (pins("", "", "c_1.[01].*", ""), first),
        // The one that was started last; only where a default says so.
        (pins("", "@saved", exhausted, first), first),
        (pins("", "", "@saved", first), first),
        (pins("", "@saved", first, ""), first),
        (pins("@saved", "", "", first), newest),
    ] {
        assert_eq!(choose(&files, &pins).unwrap().name, want, "{pins:?}");
    }
}
