//! What was said lately of a line's packets: how long they were under way, how many arrived, how many did not.

use std::collections::VecDeque;
use std::time::Duration;

use super::{REMEMBERED, Report};
use crate::time::Mono;

/// Arrivals that are looked at: at least so long, and so many.
const LATELY_NS: u64 = 120_000_000;
const LATELY_PACKETS: usize = 4;
/// The rate is taken over so long, and at least so many packets, at most a second.
const RATE_NS: u64 = 160_000_000;
const RATE_PACKETS: usize = 12;
const KEPT_NS: u64 = 1_000_000_000;
/// Loss is taken over so long, and only of so many packets: of few, a tenth is lost by chance.
const LOSS: Duration = Duration::from_millis(2_000);
const LOSS_PACKETS: usize = 50;
/// Traffic beside is taken over this.
const BESIDE: Duration = Duration::from_secs(1);
/// The quickest packet is kept for each part of the time that it is remembered.
const PARTS: usize = 8;
/// A clock that jumps so far has begun anew.
const JUMP_NS: u64 = 30_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at_ns: u64,
    /// Under way, by two clocks: only differences mean anything.
    way_ns: i64,
    bits: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    arrivals: VecDeque<Arrival>,
    /// When each packet left, and whether it was lost.
    fates: VecDeque<(Mono, bool)>,
    /// Bits of packets that nobody reports on.
    beside: VecDeque<(Mono, u64)>,
    /// The quickest way of each part, oldest first.
    quickest_ns: VecDeque<i64>,
    part_began: Option<Mono>,
    now: Mono,
}

impl Window {
    pub fn beside(&mut self, now: Mono, bytes: u32) {
        self.beside.push_back((now, u64::from(bytes) * 8));
        while self.beside.front().is_some_and(|(at, _)| now.since(*at) > BESIDE) {
            self.beside.pop_front();
        }
    }

    pub fn take(&mut self, now: Mono, reports: &[Report]) {
        self.now = now;
        for report in reports {
            self.fates.push_back((report.sent, report.arrived_ns.is_none()));
            if let Some(at_ns) = report.arrived_ns {
                self.arrived(now, report, at_ns);
            }
        }
        let newest = self.arrivals.back().map_or(0, |arrival| arrival.at_ns);
        while self.arrivals.front().is_some_and(|arrival| newest.saturating_sub(arrival.at_ns) > KEPT_NS) {
            self.arrivals.pop_front();
        }
        let last = self.fates.back().map_or(now, |(sent, _)| *sent);
        while self.fates.front().is_some_and(|(sent, _)| last.since(*sent) > LOSS) {
            self.fates.pop_front();
        }
    }

    fn arrived(&mut self, now: Mono, report: &Report, at_ns: u64) {
        let way_ns = i64::try_from(i128::from(at_ns) - i128::from(report.sent.as_nanos())).unwrap_or(0);
        if self.arrivals.back().is_some_and(|last| last.at_ns.abs_diff(at_ns) > JUMP_NS) {
            self.arrivals.clear();
            self.forget_the_way();
        }
        self.arrivals.push_back(Arrival { at_ns, way_ns, bits: u64::from(report.bytes) * 8 });
        let parts = u32::try_from(PARTS).unwrap_or(1);
        if self.part_began.is_none_or(|began| now.since(began) >= REMEMBERED / parts) {
            self.part_began = Some(now);
            self.quickest_ns.push_back(way_ns);
            if self.quickest_ns.len() > PARTS {
                self.quickest_ns.pop_front();
            }
        }
        if let Some(quickest) = self.quickest_ns.back_mut() {
            *quickest = way_ns.min(*quickest);
        }
    }

    /// The way has changed: what is quick is seen anew from the packets of the moment.
    pub fn forget_the_way(&mut self) {
        self.quickest_ns.clear();
        let least = self.lately().map(|arrival| arrival.way_ns).min();
        self.quickest_ns.extend(least);
        self.part_began = least.map(|_| self.now);
    }

    fn lately(&self) -> impl Iterator<Item = &Arrival> {
        let newest = self.arrivals.back().map_or(0, |arrival| arrival.at_ns);
        let recent = move |(place, arrival): &(usize, &Arrival)| {
            *place < LATELY_PACKETS || newest.saturating_sub(arrival.at_ns) <= LATELY_NS
        };
        self.arrivals.iter().rev().enumerate().take_while(recent).map(|(_, arrival)| arrival)
    }

    /// How long packets waited on their way at least, lately.
    pub fn waits(&self) -> Option<Duration> {
        let quickest = self.quickest_ns.iter().min()?;
        let least = self.lately().map(|arrival| arrival.way_ns).min()?;
        Some(Duration::from_nanos(u64::try_from(least - quickest).unwrap_or(0)))
    }

    /// Bits per second that arrived lately, with what is sent beside.
    pub fn arrives_bps(&self) -> u64 {
        self.rate(RATE_NS)
    }

    /// The same over a longer time.
    pub fn arrived_bps(&self) -> u64 {
        self.rate(KEPT_NS)
    }

    fn rate(&self, span_ns: u64) -> u64 {
        let Some(newest) = self.arrivals.back() else { return 0 };
        let counted = |(place, arrival): &(usize, &Arrival)| {
            *place < RATE_PACKETS || newest.at_ns.saturating_sub(arrival.at_ns) <= span_ns
        };
        let (mut bits, mut first) = (0, newest);
        for (_, arrival) in self.arrivals.iter().rev().enumerate().take_while(counted) {
            bits += arrival.bits;
            first = arrival;
        }
        // The first one's bits came before the time that is counted.
        let span_ns = newest.at_ns.saturating_sub(first.at_ns);
        let rate = (bits - first.bits).saturating_mul(1_000_000_000).checked_div(span_ns).unwrap_or(0);
        rate + self.beside_bps()
    }

    fn beside_bps(&self) -> u64 {
        let recent = self.beside.iter().filter(|(at, _)| self.now.since(*at) <= BESIDE);
        recent.map(|(_, bits)| bits).sum()
    }

    /// Per cent of the packets that were lost lately.
    pub fn lost_percent(&self) -> u64 {
        if self.fates.len() < LOSS_PACKETS {
            return 0;
        }
        let lost = self.fates.iter().filter(|(_, lost)| *lost).count();
        (lost * 100 / self.fates.len()) as u64
    }
}
