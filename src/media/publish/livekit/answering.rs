//! The server's offers and our answers to them, pure: one is answered at a time, and only the newest of a socket.
//!
//! | state | what comes | what follows |
//! |---|---|---|
//! | idle | an offer | given to the connection |
//! | answering | another offer | it takes the place of the one at work, and waits with its candidates |
//! | answering | a new socket | the server offers anew on it: nothing waits |
//! | answering | the answer is made, or refused | said, if its offer is the newest of this socket; then the one that waits |
//!
//! LiveKit replaces an offer that is out, at a resume twice at once, and takes the answer to the old one for the answer
//! to the new: then it gives up the session.

/// Candidates that wait with an offer.
const MAX_CANDIDATES: usize = 64;

/// What the connection is to be given.
#[derive(Debug, PartialEq, Eq)]
pub enum Approach {
    Offer { number: u32, sdp: String },
    Candidate { line: u32, text: String },
}

#[derive(Debug, Default)]
pub struct Answering {
    at_work: Option<AtWork>,
    /// An offer and its candidates, in their order.
    next: Vec<Approach>,
}

#[derive(Debug, PartialEq, Eq)]
enum AtWork {
    Newest,
    /// The server has replaced it, or its socket is gone.
    Stale,
}

impl Answering {
    /// The server offers. Gives what the connection is to be given now.
    pub fn offered(&mut self, number: u32, sdp: String) -> Option<Approach> {
        let offer = Approach::Offer { number, sdp };
        let Some(at_work) = &mut self.at_work else {
            self.at_work = Some(AtWork::Newest);
            return Some(offer);
        };
        *at_work = AtWork::Stale;
        self.next = vec![offer];
        None
    }

    /// A candidate of the newest offer. Gives what the connection is to be given now.
    pub fn approached(&mut self, line: u32, text: String) -> Option<Approach> {
        let candidate = Approach::Candidate { line, text };
        if self.next.is_empty() {
            return Some(candidate);
        }
        if self.next.len() <= MAX_CANDIDATES {
            self.next.push(candidate);
        }
        None
    }

    /// What came on the socket before counts no more.
    pub fn new_socket(&mut self) {
        self.next.clear();
        if let Some(at_work) = &mut self.at_work {
            *at_work = AtWork::Stale;
        }
    }

    /// The connection has answered, or refused. Gives whether the server waits for this answer, and what the connection
    /// is to be given next.
    pub fn answered(&mut self) -> (bool, Vec<Approach>) {
        let newest = self.at_work.take() == Some(AtWork::Newest);
        let next = std::mem::take(&mut self.next);
        self.at_work = (!next.is_empty()).then_some(AtWork::Newest);
        (newest, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(number: u32) -> Approach {
        Approach::Offer { number, sdp: format!("sdp {number}") }
    }

    fn offered(answering: &mut Answering, number: u32) -> Option<Approach> {
        answering.offered(number, format!("sdp {number}"))
    }

    #[test]
    fn one_offer_is_answered_at_a_time_and_only_the_newest() {
        let mut answering = Answering::default();
        assert_eq!(offered(&mut answering, 1), Some(offer(1)));
        let candidate = Approach::Candidate { line: 0, text: "a".to_owned() };
        assert_eq!(answering.approached(0, "a".to_owned()), Some(candidate), "of the offer at work");
        assert_eq!(offered(&mut answering, 2), None);
        assert_eq!(offered(&mut answering, 3), None);
        assert_eq!(answering.approached(0, "b".to_owned()), None, "behind its offer");
        let (said, next) = answering.answered();
        assert!(!said, "the server has replaced that offer");
        assert_eq!(next, [offer(3), Approach::Candidate { line: 0, text: "b".to_owned() }]);
        assert_eq!(answering.answered(), (true, Vec::new()));
        assert_eq!(answering.answered(), (false, Vec::new()), "nothing was asked");
    }

    #[test]
    fn an_answer_is_said_only_on_the_socket_its_offer_came_on() {
        let mut answering = Answering::default();
        offered(&mut answering, 1);
        offered(&mut answering, 2);
        answering.new_socket();
        assert_eq!(offered(&mut answering, 3), None, "the connection is still at the first");
        assert_eq!(answering.answered(), (false, vec![offer(3)]));
        assert_eq!(answering.answered(), (true, Vec::new()));
        answering.new_socket();
        assert_eq!(offered(&mut answering, 4), Some(offer(4)));
        assert_eq!(answering.answered(), (true, Vec::new()));
    }

    #[test]
    fn an_offer_that_is_sent_again_on_the_new_socket_is_answered_again() {
        let mut answering = Answering::default();
        offered(&mut answering, 1);
        answering.new_socket();
        assert_eq!(offered(&mut answering, 1), None);
        assert_eq!(answering.answered(), (false, vec![offer(1)]));
        assert_eq!(answering.answered(), (true, Vec::new()));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut answering = Answering::default();
        offered(&mut answering, 1);
        offered(&mut answering, 2);
        for line in 0..1_000 {
            assert_eq!(answering.approached(line, String::new()), None);
        }
        assert_eq!(answering.answered().1.len(), 1 + MAX_CANDIDATES);
    }
}
