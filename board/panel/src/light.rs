//! A lamp's colour and pattern.

use core::fmt;

/// Milliseconds of a slow blink, half of them lit: one a second.
pub const SLOW_MS: u32 = 1_000;
/// Milliseconds of a fast blink, half of them lit: four a second.
pub const FAST_MS: u32 = 250;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Colour {
    #[default]
    Off,
    White,
    Red,
    Green,
    Amber,
    Blue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    #[default]
    Steady,
    Slow,
    Fast,
}

/// What a lamp shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Light {
    pub colour: Colour,
    pub pattern: Pattern,
}

impl Colour {
    pub const ALL: [Self; 6] = [Self::Off, Self::White, Self::Red, Self::Green, Self::Amber, Self::Blue];

    /// The word on the line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::White => "white",
            Self::Red => "red",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Blue => "blue",
        }
    }

    /// Red, green and blue, 0–255 each.
    pub const fn rgb(self) -> (u8, u8, u8) {
        match self {
            Self::Off => (0, 0, 0),
            Self::White => (255, 255, 255),
            Self::Red => (255, 0, 0),
            Self::Green => (0, 255, 0),
            Self::Amber => (255, 120, 0),
            Self::Blue => (0, 0, 255),
        }
    }

    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|colour| colour.word().as_bytes() == word)
    }
}

impl Pattern {
    pub const ALL: [Self; 3] = [Self::Steady, Self::Slow, Self::Fast];

    /// The word on the line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Slow => "slow",
            Self::Fast => "fast",
        }
    }

    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|pattern| pattern.word().as_bytes() == word)
    }
}

impl Light {
    pub const OFF: Self = Self::new(Colour::Off, Pattern::Steady);

    pub const fn new(colour: Colour, pattern: Pattern) -> Self {
        Self { colour, pattern }
    }

    pub const fn steady(colour: Colour) -> Self {
        Self::new(colour, Pattern::Steady)
    }

    /// The colour to be lit at a moment. Lamps that are driven by one clock blink together.
    pub const fn at(self, now_ms: u32) -> Colour {
        let lit = match self.pattern {
            Pattern::Steady => true,
            Pattern::Slow => now_ms % SLOW_MS < SLOW_MS / 2,
            Pattern::Fast => now_ms % FAST_MS < FAST_MS / 2,
        };
        if lit { self.colour } else { Colour::Off }
    }
}

impl fmt::Display for Light {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.colour.word(), self.pattern.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blinking_lamp_is_lit_for_half_of_its_time() {
        for (pattern, period, lit) in
            [(Pattern::Steady, 1_000, 1_000), (Pattern::Slow, 1_000, 500), (Pattern::Fast, 250, 125)]
        {
            let light = Light::new(Colour::Red, pattern);
            let seen = (0..period).filter(|now| light.at(*now) == Colour::Red).count();
            assert_eq!(seen, lit, "{pattern:?}");
        }
    }

    #[test]
    fn every_word_is_read_back() {
        assert!(Colour::ALL.iter().all(|colour| Colour::from_word(colour.word().as_bytes()) == Some(*colour)));
        assert!(Pattern::ALL.iter().all(|pattern| Pattern::from_word(pattern.word().as_bytes()) == Some(*pattern)));
        assert_eq!(Colour::from_word(b"Red"), None);
    }
}
