//! Drives a fuzz target without a fuzzer: the checked-in corpus as it is, then so many mutations of it from a fixed seed.
//!
//! A target is `fn(&[u8])` that panics when what it promises does not hold. The same functions run under `cargo fuzz`, which
//! needs a nightly compiler; this file needs none, takes a bounded number of rounds and always takes the same way.

/// splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % (most.max(1) as u64)).unwrap_or(0)
    }
}

/// What readers trip over.
const TOKENS: &[&[u8]] = &[
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"-0",
    b"1e999",
    b"9007199254740993",
    b"0.1e-400",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r\n\r\n",
    b"--",
    b"\0",
    b"\"",
    b"\\",
    b",",
    b":",
    b"/",
    b"~1",
    b"$ref",
    b"pattern",
    b"(a+)+$",
    b"__proto__",
    b"200",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"Content-Disposition: form-data; name=\"application\"\r\n\r\n",
];

/// One mutation of one of these, sometimes spliced with another.
pub(crate) fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = corpus.get(dice.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=dice.below(4) {
        let (at, to) = (dice.below(bytes.len() + 1), dice.below(bytes.len() + 1));
        let (from, until) = (at.min(to), at.max(to).min(at.min(to) + 64));
        match dice.below(8) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << dice.below(8);
            }
            1 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] = u8::try_from(dice.below(256)).unwrap_or(0);
            }
            2 => {
                bytes.drain(from..until);
            }
            3 => {
                let again = bytes[from..until].to_vec();
                bytes.splice(from..from, again);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = corpus.get(dice.below(corpus.len())).cloned().unwrap_or_default();
                let cut = dice.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[cut..]);
            }
            _ => {
                let token = TOKENS[dice.below(TOKENS.len())];
                bytes.splice(from..until.min(from + token.len() * dice.below(2)), token.iter().copied());
            }
        }
    }
    bytes
}

/// Runs the target over the corpus and so many mutations. What made it panic is told as a Rust literal.
pub(crate) fn drive(corpus: &[Vec<u8>], rounds: usize, target: impl Fn(&[u8])) {
    assert!(!corpus.is_empty(), "a corpus holds something");
    let mut dice = Dice::new(7);
    let run = |bytes: &[u8]| {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(bytes)));
        assert!(ran.is_ok(), "the target does not hold for b\"{}\"", bytes.escape_ascii());
    };
    corpus.iter().for_each(|bytes| run(bytes));
    for _ in 0..rounds {
        run(&mutated(corpus, &mut dice));
    }
}
