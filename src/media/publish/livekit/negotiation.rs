//! Offers and their answers, pure: which answer counts, and when the next offer is made.
//!
//! | state | what comes | what follows |
//! |---|---|---|
//! | settled | tracks changed | an offer is made |
//! | making | it is made | it is sent, with a number of its own |
//! | asked | the answer to it | given to the connection |
//! | asked | a new socket | the same offer again: its answer may have been on the old one |
//! | taking | the connection has it | settled; or the next offer, when tracks changed meanwhile |
//!
//! An answer counts once, and only for the offer that is out. Any other is a copy, or of a question that is settled: the
//! connection would refuse it, because it waits for none.

#[derive(Debug, Default)]
pub struct Negotiation {
    state: State,
    /// Tracks changed since the offer was made.
    again: bool,
    asked: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Settled,
    Making,
    Asked(String),
    Taking,
}

impl Negotiation {
    /// There is something new to offer. True: an offer is to be made now.
    pub fn change(&mut self) -> bool {
        let now = self.state == State::Settled;
        if now {
            self.state = State::Making;
        } else {
            self.again = true;
        }
        now
    }

    /// The offer is made. Gives the number it is sent with.
    pub fn offered(&mut self, sdp: &str) -> u32 {
        self.asked = self.asked.wrapping_add(1).max(1);
        self.state = State::Asked(sdp.to_owned());
        self.asked
    }

    /// The offer that is out, with its number.
    pub fn question(&self) -> Option<(u32, &str)> {
        match &self.state {
            State::Asked(sdp) => Some((self.asked, sdp)),
            State::Settled | State::Making | State::Taking => None,
        }
    }

    /// The server's answer to the offer of this number; servers of old give 0. True: the connection is to take it.
    pub fn answered(&mut self, number: u32) -> bool {
        let counts = matches!(self.state, State::Asked(_)) && (number == 0 || number == self.asked);
        if counts {
            self.state = State::Taking;
        }
        counts
    }

    /// The connection has taken the answer. True: the next offer is to be made now.
    pub fn taken(&mut self) -> bool {
        self.state = State::Settled;
        std::mem::take(&mut self.again) && self.change()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_offer_is_out_at_a_time_and_what_changed_meanwhile_is_offered_after_it() {
        let mut negotiation = Negotiation::default();
        assert!(negotiation.change());
        assert!(!negotiation.change(), "while the offer is made");
        assert_eq!(negotiation.offered("one"), 1);
        assert!(!negotiation.change(), "while it is out");
        assert!(negotiation.answered(1));
        assert!(!negotiation.change(), "while its answer is taken");
        assert!(negotiation.taken(), "three changes are one offer");
        assert_eq!(negotiation.offered("two"), 2);
        assert!(negotiation.answered(2));
        assert!(!negotiation.taken());
        assert!(negotiation.change());
    }

    #[test]
    fn an_answer_counts_once_and_only_for_the_offer_that_is_out() {
        let mut negotiation = Negotiation::default();
        assert!(!negotiation.answered(0) && !negotiation.answered(1), "nothing was asked");
        negotiation.change();
        assert!(!negotiation.answered(0), "the offer is not made yet");
        negotiation.offered("one");
        assert!(!negotiation.answered(7), "nobody asked that");
        assert!(negotiation.answered(1));
        assert!(!negotiation.answered(1), "a copy, while the first is taken");
        negotiation.taken();
        assert!(!negotiation.answered(1) && !negotiation.answered(0), "a copy, when all is settled");
        negotiation.change();
        negotiation.offered("two");
        assert!(!negotiation.answered(1), "a copy, when the next offer is out");
        assert!(negotiation.answered(0), "a server that numbers nothing");
    }

    #[test]
    fn the_offer_is_asked_again_until_its_answer_is_there() {
        let mut negotiation = Negotiation::default();
        assert_eq!(negotiation.question(), None);
        negotiation.change();
        assert_eq!(negotiation.question(), None, "it goes out when it is made");
        negotiation.offered("one");
        assert_eq!(negotiation.question(), Some((1, "one")));
        negotiation.answered(1);
        assert_eq!(negotiation.question(), None);
    }

    /// Every sequence of seven events: the connection is never given an answer that it does not wait for.
    #[test]
    fn no_order_of_events_gives_the_connection_an_answer_it_does_not_wait_for() {
        fn walk(steps: &[u8]) {
            let mut negotiation = Negotiation::default();
            let (mut making, mut waits, mut taking) = (false, false, false);
            for step in steps {
                match step {
                    0 => making |= negotiation.change(),
                    1 if making => {
                        negotiation.offered("sdp");
                        (making, waits) = (false, true);
                    }
                    2 | 3 => {
                        let number = if *step == 2 { negotiation.asked } else { 0 };
                        if negotiation.answered(number) {
                            assert!(waits, "{steps:?}");
                            (waits, taking) = (false, true);
                        }
                    }
                    4 if taking => {
                        taking = false;
                        making |= negotiation.taken();
                    }
                    _ => {}
                }
                assert!(u8::from(making) + u8::from(waits) + u8::from(taking) <= 1, "{steps:?}");
            }
        }
        for code in 0..5_u32.pow(7) {
            let steps: Vec<u8> = (0..7).map(|at| (code / 5_u32.pow(at) % 5) as u8).collect();
            walk(&steps);
        }
    }
}
