//! What all fuzzing shares: how much of it there is, and dice that fall the same way again.

/// A number from the environment.
pub fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A small generator, so that a failure comes again.
pub struct Dice(u64);

impl Dice {
    pub fn new(salt: u64) -> Self {
        Self(setting("CUEBOX_FUZZ_SEED", 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}
