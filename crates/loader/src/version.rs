//! The order of versions, as the UAPI Group Version Format Specification has it and systemd's `strverscmp_improved` does it.
//!
//! Read from left to right, the first difference counts:
//!
//! | at this place | older is |
//! |---|---|
//! | `~` | the one that has it |
//! | an end | the shorter one |
//! | `-`, then `^`, then `.` | the one that has it |
//! | digits | the one without, then the smaller number |
//! | letters | the one that sorts first by its bytes, then the shorter one |
//!
//! Any other character is passed over: `1+2` is `1` and then `2`.

use std::cmp::Ordering;

/// In the order in which they are looked for, behind `~` and the end.
const SEPARATORS: [u8; 3] = *b"-^.";

/// Compares two versions; the newer one is greater.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        (a, b) = (from_known(a), from_known(b));
        if let Some(order) = step_over(b'~', &mut a, &mut b) {
            return order;
        }
        if a.is_empty() || b.is_empty() {
            return a.first().cmp(&b.first());
        }
        for separator in SEPARATORS {
            if let Some(order) = step_over(separator, &mut a, &mut b) {
                return order;
            }
        }
        let is_digit: fn(&u8) -> bool = u8::is_ascii_digit;
        let is_number = [a, b].iter().any(|text| text.first().is_some_and(is_digit));
        let of_segment = if is_number { is_digit } else { u8::is_ascii_alphabetic };
        let ((own, rest_a), (other, rest_b)) = (segment(a, of_segment), segment(b, of_segment));
        let order = if is_number { numbers(own, other) } else { own.cmp(other) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// What is left from the first character that means something.
fn from_known(text: &[u8]) -> &[u8] {
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(byte);
    let start = text.iter().position(known).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// The order if one of them has the separator; if both have, it is passed.
fn step_over(separator: u8, a: &mut &[u8], b: &mut &[u8]) -> Option<Ordering> {
    match (a.strip_prefix(&[separator]), b.strip_prefix(&[separator])) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            None
        }
    }
}

fn segment(text: &[u8], belongs: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| belongs(byte)).count())
}

/// Numbers of any length; none at all is older than zero.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    let significant =
        |text: &[u8]| text.iter().skip_while(|byte| **byte == b'0').copied().collect::<Vec<_>>();
    let (short_a, short_b) = (significant(a), significant(b));
    (!a.is_empty(), short_a.len(), &short_a).cmp(&(!b.is_empty(), short_b.len(), &short_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each older than the next; the order that the specification gives as its example, and ours.
    #[test]
    fn versions_stand_in_their_order() {
        for list in [
            &["~rc1", "", "0", "1", "122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1"][..],
            &["123-3", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1"],
            &["1.2.3", "1.2.10", "1.10.0", "2.0.0", "10.0.0"],
            &["a", "ab", "abb", "abc", "b", "1"],
            &["1", "99999999999999999999999999", "100000000000000000000000000"],
            &["coracle_1.0.0.efi", "coracle_1.0.0+0-3.efi", "coracle_1.0.0+0-4.efi", "coracle_1.0.0+1-2.efi"],
        ] {
            for (at, older) in list.iter().enumerate() {
                assert_eq!(compare(older, older), Ordering::Equal);
                for newer in &list[at + 1..] {
                    assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
                    assert_eq!(compare(newer, older), Ordering::Greater, "{newer} > {older}");
                }
            }
        }
    }

    #[test]
    fn zeros_in_front_and_foreign_characters_mean_nothing() {
        for (a, b) in [("1.02", "1.2"), ("1_2", "1+2"), ("", "_"), ("0", "00"), ("1.2", "1.2+"), ("ä1", "1")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_the_same_from_both_sides(a in "[0-9a-b.~^+-]{0,8}|.{0,8}", b in "[0-9a-b.~^+-]{0,8}|.{0,8}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
