//! Chance from a seed: the same numbers on every machine.

/// A generator of pseudo-random numbers (`SplitMix64`, Steele, Lea & Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end`, without `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).expect("it is less than `end`")
    }

    /// A place in a list of this length, which is at least 1.
    pub fn place(&mut self, length: usize) -> usize {
        let place = self.below(u64::try_from(length).expect("64 bits"));
        usize::try_from(place).expect("it is less than `length`")
    }

    /// True so many times out of so many.
    pub fn chance(&mut self, times: usize, of: usize) -> bool {
        self.place(of) < times
    }
}
