//! What a line carries → an estimate, from what the other side says of each packet: when it arrived, or that it did not.
//!
//! Pure: times and sizes come in, bits per second go out. Rates are those of the line, packet headers included.
//!
//! A line that is given more than it carries lets packets wait, then drops them. How long they wait shows in how much
//! longer they are under way than the quickest of the last [`REMEMBERED`]; the clocks of the two sides need not agree.
//! The least of the last 120 ms is taken: what waits only behind the packets of its own picture does not count.
//!
//! | seen | done |
//! |---|---|
//! | packets wait ([`HIGH`]) | fall below what arrived lately, the deeper the longer they wait; not twice before it shows |
//! | many lost, few wait | fall by half of the loss |
//! | nothing said of packets that left long ago | fall to a third, twice at most; taken back when they had not waited |
//! | the queue is empty after a fall | back to just below what was seen to arrive |
//! | nothing of it | rise, slowly around what overfilled the line last, quickly elsewhere |
//! | packets go on waiting just as long, none is lost | the way has become longer: that is the new measure |
//!
//! A rise ends at twice what is sent, and a bit: what was never tried is not known.

mod pace;
mod window;

#[cfg(test)]
pub mod simulated;

use std::time::Duration;

use crate::time::Mono;

pub use pace::Bucket;
use window::Window;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub sent: Mono,
    /// On the line, headers included.
    pub bytes: u32,
    /// Nanoseconds of the other side's clock; `None`: lost.
    pub arrived_ns: Option<u64>,
}

/// What was seen last, for whoever wants to understand an estimate.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "it is read by its Debug")]
pub struct Seen {
    estimate_bps: u64,
    arrives_bps: u64,
    waits: Option<Duration>,
    lost_percent: u64,
    round_trip: Duration,
    under_way: usize,
    congested: bool,
}

/// Bytes of a packet's headers below RTP: IP, UDP, and the seal of SRTP.
pub const BELOW_RTP: u32 = 20 + 8 + 10;

/// The estimate never leaves these bounds; sound and the smallest picture fit into the lower.
const LEAST_BPS: u64 = 100_000;
const MOST_BPS: u64 = 50_000_000;

/// Packets that wait so long are too many. Home routers hold 200 ms and more; a busy machine delays by less.
const HIGH: Duration = Duration::from_millis(60);
/// Below it nothing waits.
const LOW: Duration = Duration::from_millis(20);
/// Of the bits that wait, so many large packets are no queue: on a small line each takes long.
const FEW_PACKETS_BITS: u64 = 3 * 1_250 * 8;
/// How far back the quickest packet is remembered.
const REMEMBERED: Duration = Duration::from_secs(20);

/// Part of what arrives that is sent after a fall, per cent: the rest lets the queue run empty.
const FALLS_TO: u64 = 85;
const FALLS_TO_LEAST: u64 = 50;
/// A fall shows in reports after the way there and back, and this.
const SHOWS_AFTER: Duration = Duration::from_millis(200);
/// What changes by less in so long a time, although less is sent, is no queue.
const FLAT: Duration = Duration::from_millis(10);
const FLAT_AFTER: Duration = Duration::from_millis(900);

/// Loss of a radio link that is borne, per cent, and from which on it is congestion.
const BORNE_PERCENT: u64 = 3;
const HEAVY_PERCENT: u64 = 10;

/// Packets of which nothing is said, so long after the way there and back. Servers report each 100 ms, or each twenty
/// packets when those take longer.
const SILENT: Duration = Duration::from_millis(130);
const SILENT_PACKETS: usize = 28;
const MOST_UNDER_WAY: usize = 4_096;
/// And nothing was said at all for so long.
const UNHEARD: Duration = Duration::from_millis(320);
/// Between two falls for silence, and how many of them there are.
const SILENT_AGAIN: Duration = Duration::from_millis(250);
const SILENT_FALLS: u32 = 2;

/// Growth per second, per mille.
const RISES: u64 = 120;
const RISES_NEAR: u64 = 25;
/// Before the first fall: the line is still unknown.
const RISES_FIRST: u64 = 300;
/// A rise counts at most so much time at once.
const RISES_FOR: Duration = Duration::from_millis(700);
/// Sending is spread while a line has shown its end so lately.
const NARROW_FOR: Duration = Duration::from_secs(20);
/// What a fall was for is over after this.
const CONGESTED_FOR: Duration = Duration::from_millis(1_500);

/// Measures one line.
#[derive(Clone, Debug)]
pub struct Estimator {
    estimate_bps: u64,
    window: Window,
    /// Packets of which nothing was said yet: when they left.
    under_way: std::collections::VecDeque<Mono>,
    round_trip: Duration,
    rose: Option<Mono>,
    /// What arrived when the line was overfilled last, bits per second.
    end_bps: Option<u64>,
    fall: Option<Fall>,
    /// Loss was answered.
    lightened: Option<Mono>,
    silence: Option<Silence>,
    narrow: Option<Mono>,
    reported: Option<Mono>,
    /// For how long packets have waited just as long.
    flat: Option<(Mono, Duration)>,
}

/// One or more in a row, until the queue is empty.
#[derive(Clone, Copy, Debug)]
struct Fall {
    /// The last of them.
    at: Mono,
    /// Before the first.
    from_bps: u64,
    waited: Duration,
    drained: bool,
}

#[derive(Clone, Copy, Debug)]
struct Silence {
    at: Mono,
    falls: u32,
    from_bps: u64,
}

impl Estimator {
    /// `start_bps`: what the line is believed to carry until it tells.
    pub fn new(start_bps: u64) -> Self {
        Self {
            estimate_bps: start_bps.clamp(LEAST_BPS, MOST_BPS),
            window: Window::default(),
            under_way: std::collections::VecDeque::new(),
            round_trip: Duration::ZERO,
            rose: None,
            end_bps: None,
            fall: None,
            lightened: None,
            silence: None,
            narrow: None,
            reported: None,
            flat: None,
        }
    }

    /// Bits per second.
    pub const fn estimate_bps(&self) -> u64 {
        self.estimate_bps
    }

    pub fn seen(&self, now: Mono) -> Seen {
        Seen {
            estimate_bps: self.estimate_bps,
            arrives_bps: self.window.arrives_bps(),
            waits: self.window.waits(),
            lost_percent: self.window.lost_percent(),
            round_trip: self.round_trip,
            under_way: self.under_way.len(),
            congested: self.is_congested(now),
        }
    }

    /// Bits per second at which packets should leave when many are due at once.
    pub fn pace_bps(&self, now: Mono) -> u64 {
        // A line that has shown no end takes a key frame as it comes; on one that has, it leaves room for the rest.
        let narrow = self.narrow.is_some_and(|at| now.since(at) < NARROW_FOR);
        match self.fall.filter(|fall| !fall.drained && self.is_congested(now)) {
            // Until it is known how little it is, the queue is left to run empty.
            Some(fall) if fall.waited.is_zero() => self.estimate_bps / 4,
            Some(_) => self.estimate_bps,
            None if narrow => self.estimate_bps / 100 * 125,
            None => self.estimate_bps * 4,
        }
    }

    /// The line is overfilled, or was a moment ago: what is late is better left out.
    pub fn is_congested(&self, now: Mono) -> bool {
        self.fall.is_some_and(|fall| now.since(fall.at) < CONGESTED_FOR)
    }

    /// A packet leaves that will be reported on.
    pub fn sent(&mut self, now: Mono) {
        // A server that never reports is not waited for.
        if self.reported.is_some() {
            if self.under_way.len() >= MOST_UNDER_WAY {
                self.under_way.pop_front();
            }
            self.under_way.push_back(now);
        }
    }

    /// A packet leaves that nothing will be said of.
    pub fn sent_unreported(&mut self, now: Mono, bytes: u32) {
        self.window.beside(now, bytes);
    }

    /// Takes what the other side says; in the order in which the packets left.
    pub fn reported(&mut self, now: Mono, reports: &[Report]) {
        let Some(newest) = reports.iter().map(|report| report.sent).max() else { return };
        while self.under_way.front().is_some_and(|sent| *sent <= newest) {
            self.under_way.pop_front();
        }
        let came_back = now.since(newest);
        self.round_trip = if self.round_trip.is_zero() { came_back } else { self.round_trip.min(came_back) };
        // It may have grown longer.
        self.round_trip += (came_back - self.round_trip) / 50;
        self.window.take(now, reports);
        let Some(waits) = self.window.waits() else { return };
        let arrives = self.window.arrives_bps();
        let lost = self.window.lost_percent();
        self.reported = Some(now);
        let few = Duration::from_millis(FEW_PACKETS_BITS * 1_000 / self.estimate_bps.max(1));
        let empty = waits <= LOW.max(few / 3);
        self.hear_again(empty && lost < HEAVY_PERCENT);
        if empty && lost < HEAVY_PERCENT {
            self.flat = None;
            self.drained(now);
            return self.rise(now, lost);
        }
        self.rose = Some(now);
        if !empty && lost < BORNE_PERCENT && self.is_flat(now, waits) {
            self.way_has_changed();
        } else if waits > HIGH.max(few) {
            self.overfilled(now, waits, arrives, lost);
        } else if lost >= HEAVY_PERCENT {
            self.lighten(now, lost);
        }
    }

    /// Looks whether anything is said at all.
    pub fn look(&mut self, now: Mono) {
        // Where packets are lost, words are as well: one or two that do not come mean nothing.
        let patience = if self.window.lost_percent() == 0 { UNHEARD } else { 2 * UNHEARD };
        let heard = self.reported.is_some_and(|at| now.since(at) < patience);
        let late = self.round_trip + SILENT;
        let unheard = self.under_way.iter().take_while(|sent| now.since(**sent) > late).count();
        // On a line that is known to be overfilled, words are few.
        let known = self.fall.is_some_and(|fall| !fall.drained && !fall.waited.is_zero());
        if heard || known || unheard < SILENT_PACKETS {
            return;
        }
        let silence = self.silence.unwrap_or(Silence { at: Mono::default(), falls: 0, from_bps: self.estimate_bps });
        if silence.falls < SILENT_FALLS && now.since(silence.at) >= SILENT_AGAIN {
            self.estimate_bps = (self.estimate_bps.min(self.window.arrived_bps()) / 3).max(LEAST_BPS);
            self.silence = Some(Silence { at: now, falls: silence.falls + 1, ..silence });
            self.narrow = Some(now);
            self.fall = Some(Fall { at: now, from_bps: silence.from_bps, waited: Duration::ZERO, drained: false });
        }
    }

    /// Something is said again; `well`: and it is that they did not wait.
    fn hear_again(&mut self, well: bool) {
        if let Some(silence) = self.silence.take()
            && well
        {
            self.estimate_bps = self.estimate_bps.max(silence.from_bps);
            self.fall = None;
        }
    }

    fn overfilled(&mut self, now: Mono, waits: Duration, arrives: u64, lost: u64) {
        let in_row = self.fall.filter(|fall| !fall.drained);
        if let Some(fall) = in_row {
            let shows = SHOWS_AFTER + self.round_trip.min(SHOWS_AFTER);
            let better = waits < fall.waited && self.estimate_bps < arrives;
            let no_worse = waits < fall.waited + FLAT && lost < BORNE_PERCENT;
            // A fall for silence was a guess; this is knowledge.
            let guessed = fall.waited.is_zero();
            if !guessed && (now.since(fall.at) < shows || better || no_worse) {
                return;
            }
        }
        let over = u64::try_from(waits.saturating_sub(HIGH).as_millis()).unwrap_or(u64::MAX) / 10;
        let part = FALLS_TO.saturating_sub(over).max(FALLS_TO_LEAST);
        let from_bps = in_row.map_or(self.estimate_bps, |fall| fall.from_bps);
        self.estimate_bps = self.estimate_bps.min(arrives / 100 * part).max(LEAST_BPS);
        self.end_bps = Some(match self.end_bps {
            Some(end) if arrives.abs_diff(end) < end / 5 => (end * 7 + arrives * 3) / 10,
            Some(_) | None => arrives,
        });
        self.fall = Some(Fall { at: now, from_bps, waited: waits, drained: false });
        self.narrow = Some(now);
    }

    fn way_has_changed(&mut self) {
        if let Some(fall) = self.fall.take().filter(|fall| !fall.drained) {
            self.estimate_bps = self.estimate_bps.max(fall.from_bps);
        }
        self.flat = None;
        self.window.forget_the_way();
    }

    /// A queue becomes shorter when less is sent; what does not is the way.
    fn is_flat(&mut self, now: Mono, waits: Duration) -> bool {
        let (since, before) = *self.flat.get_or_insert((now, waits));
        if waits.abs_diff(before) > FLAT.max(before / 12) {
            self.flat = Some((now, waits));
            return false;
        }
        now.since(since) >= FLAT_AFTER + self.round_trip
    }

    fn lighten(&mut self, now: Mono, lost: u64) {
        if self.lightened.is_some_and(|at| now.since(at) < SHOWS_AFTER + self.round_trip + SHOWS_AFTER) {
            return;
        }
        self.lightened = Some(now);
        self.narrow = Some(now);
        self.estimate_bps = (self.estimate_bps / 200 * (200 - lost.min(100))).max(LEAST_BPS);
    }

    /// Nothing waits any more.
    fn drained(&mut self, now: Mono) {
        let Some(fall) = self.fall.as_mut().filter(|fall| !fall.drained) else { return };
        if now.since(fall.at) < SHOWS_AFTER {
            return;
        }
        fall.drained = true;
        if let Some(end) = self.end_bps {
            self.estimate_bps = self.estimate_bps.max(end / 100 * FALLS_TO).min(fall.from_bps.max(self.estimate_bps));
        }
    }

    fn rise(&mut self, now: Mono, lost: u64) {
        let since = self.rose.replace(now).map_or(Duration::ZERO, |rose| now.since(rose).min(RISES_FOR));
        let near = |end: &u64| self.estimate_bps > end / 100 * 88 && self.estimate_bps < end / 100 * 118;
        let per_second = match (self.end_bps.as_ref(), self.narrow) {
            _ if lost >= BORNE_PERCENT => RISES_NEAR,
            (Some(end), _) if near(end) => RISES_NEAR,
            (None, None) => RISES_FIRST,
            (Some(_) | None, _) => RISES,
        };
        if self.end_bps.is_some_and(|end| self.estimate_bps >= end / 100 * 118) {
            self.end_bps = None;
        }
        let ms = u64::try_from(since.as_millis()).unwrap_or(0);
        let risen = self.estimate_bps + self.estimate_bps / 1_000 * per_second * ms / 1_000;
        let tried = self.window.arrived_bps().saturating_mul(2) + 500_000;
        self.estimate_bps = risen.min(tried.max(self.estimate_bps)).min(MOST_BPS);
    }
}

#[cfg(test)]
mod tests;
