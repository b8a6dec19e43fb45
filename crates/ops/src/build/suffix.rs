//! Suffix arrays: every suffix of some bytes in order, by induced sorting (SA-IS; Nong, Zhang and Chan 2009).
//!
//! Linear in time and about 24 bytes of memory for each byte, so 48 MiB for the largest old bytes.

const NONE: u32 = u32::MAX;

/// The suffixes of at most 2^31 bytes, by the place that each begins at.
#[derive(Debug)]
pub(super) struct Suffixes<'a> {
    bytes: &'a [u8],
    sorted: Vec<u32>,
}

impl<'a> Suffixes<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        let symbols: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).collect();
        Self { bytes, sorted: sort(&symbols, 255) }
    }

    /// Where the longest beginning of `wanted` lies, and its length. `work` counts the bytes that a plain search would compare.
    ///
    /// Everything between two suffixes begins with what both of them do: that much need not be compared again, which is nearly
    /// everything where bytes repeat themselves.
    pub fn longest(&self, wanted: &[u8], work: &mut u64) -> (usize, usize) {
        let (mut low, mut high) = (0, self.sorted.len());
        let (mut low_common, mut high_common) = (0, 0);
        let mut best = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let suffix = &self.bytes[self.sorted[middle] as usize..];
            let known = low_common.min(high_common);
            let len = known + common(&suffix[known..], &wanted[known..]);
            *work += len as u64 + 1;
            if len > best.1 {
                best = (self.sorted[middle] as usize, len);
            }
            if len == wanted.len() {
                break;
            }
            if suffix[len..].first() < wanted[len..].first() {
                (low, low_common) = (middle + 1, len);
            } else {
                (high, high_common) = (middle, len);
            }
        }
        best
    }
}

/// How many bytes both begin with: a few are looked at one by one, more in steps that double and halve, each one comparison of memory.
fn common(a: &[u8], b: &[u8]) -> usize {
    let equal = |start: usize, end: usize| {
        a[start..end].iter().zip(&b[start..end]).take_while(|(a, b)| a == b).count()
    };
    let most = a.len().min(b.len());
    let mut len = equal(0, most.min(FEW));
    if len < FEW {
        return len;
    }
    let same = |len: usize, step: usize| step <= most - len && a[len..len + step] == b[len..len + step];
    let mut step = FEW;
    while same(len, step) {
        len += step;
        step *= 2;
    }
    while step > FEW {
        step /= 2;
        if same(len, step) {
            len += step;
        }
    }
    len + equal(len, most)
}

/// So many bytes are compared faster than memory is.
const FEW: usize = 16;

/// The suffix array of symbols in `0..=largest`.
fn sort(symbols: &[u32], largest: u32) -> Vec<u32> {
    let count = symbols.len();
    if count < 2 {
        return (0..count as u32).collect();
    }
    let text = Text::new(symbols, largest);
    // A suffix that is smaller than the next one, after one that is not: these few decide the order of all.
    let marks: Vec<u32> =
        (1..count).filter(|at| !text.rises[at - 1] && text.rises[*at]).map(|at| at as u32).collect();
    let mut sorted = text.induce(&marks);
    if marks.is_empty() {
        return sorted;
    }
    let mut rank_of = vec![NONE; count];
    for (rank, mark) in marks.iter().enumerate() {
        rank_of[*mark as usize] = rank as u32;
    }
    sorted.retain(|at| rank_of[*at as usize] != NONE);
    let end =
        |mark: u32| marks.get(rank_of[mark as usize] as usize + 1).map_or(count, |next| *next as usize + 1);
    let (mut names, mut name) = (vec![0; marks.len()], 0);
    for pair in sorted.windows(2) {
        let [left, right] = [pair[0], pair[1]].map(|mark| &symbols[mark as usize..end(mark)]);
        let reaches_end = end(pair[0]) == count || end(pair[1]) == count;
        if left != right || reaches_end {
            name += 1;
        }
        names[rank_of[pair[1] as usize] as usize] = name;
    }
    let order: Vec<u32> = sort(&names, name).into_iter().map(|rank| marks[rank as usize]).collect();
    text.induce(&order)
}

/// Symbols with what sorting them needs.
struct Text<'a> {
    symbols: &'a [u32],
    /// Whether the suffix here is smaller than the next one.
    rises: Vec<bool>,
    /// For each symbol where its falling, and its rising suffixes begin in the sorted order.
    falling: Vec<u32>,
    rising: Vec<u32>,
}

impl<'a> Text<'a> {
    fn new(symbols: &'a [u32], largest: u32) -> Self {
        let mut rises = vec![false; symbols.len()];
        for at in (0..symbols.len() - 1).rev() {
            let (this, next) = (symbols[at], symbols[at + 1]);
            rises[at] = if this == next { rises[at + 1] } else { this < next };
        }
        let (mut falling, mut rising) = (vec![0; largest as usize + 2], vec![0; largest as usize + 2]);
        for (symbol, rises) in symbols.iter().zip(&rises) {
            if *rises { falling[*symbol as usize + 1] += 1 } else { rising[*symbol as usize] += 1 }
        }
        for symbol in 0..=largest as usize {
            rising[symbol] += falling[symbol];
            falling[symbol + 1] += rising[symbol];
        }
        Self { symbols, rises, falling, rising }
    }

    /// The order of all suffixes from that of the marks: exact if theirs is.
    fn induce(&self, marks: &[u32]) -> Vec<u32> {
        let count = self.symbols.len();
        let mut sorted = vec![NONE; count];
        let symbol = |at: u32| self.symbols[at as usize] as usize;
        let mut place = self.rising.clone();
        for mark in marks {
            sorted[place[symbol(*mark)] as usize] = *mark;
            place[symbol(*mark)] += 1;
        }
        place.clone_from(&self.falling);
        let last = count as u32 - 1;
        sorted[place[symbol(last)] as usize] = last;
        place[symbol(last)] += 1;
        for index in 0..count {
            let at = sorted[index];
            if at != NONE && at > 0 && !self.rises[at as usize - 1] {
                sorted[place[symbol(at - 1)] as usize] = at - 1;
                place[symbol(at - 1)] += 1;
            }
        }
        place.clone_from(&self.falling);
        for index in (0..count).rev() {
            let at = sorted[index];
            if at != NONE && at > 0 && self.rises[at as usize - 1] {
                place[symbol(at - 1) + 1] -= 1;
                sorted[place[symbol(at - 1) + 1] as usize] = at - 1;
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8]) {
        let mut plain: Vec<u32> = (0..bytes.len() as u32).collect();
        plain.sort_by_key(|at| &bytes[*at as usize..]);
        assert_eq!(Suffixes::of(bytes).sorted, plain, "{bytes:?}");
    }

    #[test]
    fn known_words() {
        for word in
            ["", "a", "aa", "ab", "ba", "banana", "mississippi", "abracadabra", "aaaaaaaaaab", "baaaaaaaaaa"]
        {
            check(word.as_bytes());
        }
    }

    #[test]
    fn common_bytes_are_counted_to_the_last() {
        for len in [0, 1, 15, 16, 17, 31, 32, 47, 48, 49, 1000, 4095] {
            let bytes = vec![7; len];
            assert_eq!(common(&bytes, &bytes), len);
            assert_eq!(common(&bytes, &[&bytes[..], &[7; 99]].concat()), len, "the end of one");
            let [a, b] = [3, 4].map(|other| [&bytes[..], &[other; 5000]].concat());
            assert_eq!(common(&a, &b), len, "a difference behind them");
        }
    }

    proptest! {
        #[test]
        fn few_symbols(bytes in proptest::collection::vec(0_u8..3, 0..200)) {
            check(&bytes);
        }

        #[test]
        fn all_symbols(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            check(&bytes);
        }

        #[test]
        fn the_longest_beginning_is_found(old in proptest::collection::vec(0_u8..3, 0..100), new in proptest::collection::vec(0_u8..3, 1..20)) {
            let best = (0..old.len()).map(|at| old[at..].iter().zip(&new).take_while(|(a, b)| a == b).count()).max().unwrap_or(0);
            let (at, len) = Suffixes::of(&old).longest(&new, &mut 0);
            prop_assert_eq!(len, best);
            prop_assert_eq!(&old[at..][..len], &new[..len]);
        }
    }
}
