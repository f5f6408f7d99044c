//! Random input, the same each time.

/// So many rounds; `CUEBOX_FUZZ` times as many, for a long run by hand.
pub fn rounds(usual: usize) -> usize {
    let times = std::env::var("CUEBOX_FUZZ").ok();
    usual * times.map_or(1, |text| text.parse().expect("CUEBOX_FUZZ is a number"))
}

/// xorshift64*, seeded in the source.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Some of its bytes changed, cut short, or doubled.
    pub fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut spoilt = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(spoilt.len());
            match (self.below(4), spoilt.get_mut(at)) {
                (0, _) => spoilt.truncate(at),
                (1, _) => spoilt.extend_from_within(..at),
                (_, Some(byte)) => *byte = self.next() as u8,
                (_, None) => {}
            }
        }
        spoilt
    }
}
