//! A LiveKit room: the box is a participant that publishes `program`, a pair of picture and sound, and where it is asked
//! for a pair `slot-<n>` for each slot beside it.
//!
//! | module | what it does |
//! |---|---|
//! | this one | the pipeline: tracks come, go, are muted; on the actor's thread |
//! | [`session`] | the conversation with the server, on a thread of its own |
//! | [`shared`] | what the two tell each other |
//! | [`line`] | the way to the server: a socket, or tries to have one again |
//! | [`room`] | what the server's messages mean, pure |
//! | [`negotiation`] | which of the server's answers belongs to which offer of ours, pure |
//! | [`answering`] | when an offer of the server is answered, pure |
//! | [`socket`] | the WebSocket they come on |
//! | [`announce`] | what viewers are told of the camera |
//! | [`failures`] | what a refusal means |
//!
//! The signalling client is ours and not the one of LiveKit's own crate: that one takes no certificate authority of the
//! operator's, reads messages and answers of any length, and panics on a welcome without participant or ping interval.

mod announce;
mod answering;
mod failures;
mod line;
mod negotiation;
mod room;
mod session;
mod shared;
mod socket;

use std::collections::BTreeMap;
use std::sync::Arc;

use cuebox_core::config::{LivekitTarget, Publish};
use cuebox_core::director::{self, EncodeJob, ErrorClass, Medium, OnAir};
use cuebox_core::ids::SlotId;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::webrtc::{self, Listener, Peer, SoundTrack, VideoTrack};
use crate::media::context::{Context, Reporter};
use crate::media::links::Link;
use crate::media::part::{Failure, Handled, Mailbox, Part};
use crate::media::plan::Wish;
use answering::Approach;
use shared::{Announced, Order, Setup, Shared};

/// What viewers are told that a track has, before there is a rate.
const ANNOUNCED_BPS: u64 = 2_000_000;
/// A slot's sound beside the program's.
const SLOT_SOUND_BPS: u64 = 48_000;

/// Each pair leaves two media sections behind; with so many the descriptions are still far from too long.
const MAX_PAIRS: u32 = 60;

struct LivekitPart {
    pipeline: gst::Pipeline,
    peer: Peer,
    /// Where the server opens a connection of its own.
    listener: Option<Listener>,
    context: Context,
    publish: Publish,
    shared: Arc<Shared>,
    mailbox: Mailbox,
    orders: UnboundedSender<Order>,
    /// Until it plays.
    setup: Option<Setup>,
    program: Pair,
    slots: BTreeMap<SlotId, Pair>,
    /// Of slots, all that this connection has seen.
    pairs: u32,
    sending: bool,
    audio_bitrate_bps: u64,
    on_air: Option<OnAir>,
    unmute: u32,
}

/// Picture and sound of one origin.
struct Pair {
    name: String,
    video: VideoTrack,
    sound: SoundTrack,
    pictures: Link,
    sounds: Link,
}

pub fn build(
    context: &Context,
    wish: &director::Leg,
    target: &LivekitTarget,
    reporter: &Reporter,
    mailbox: &Mailbox,
) -> Result<Box<dyn Part>, Failure> {
    let pipeline = gst::Pipeline::new();
    let (orders, inbox) = unbounded_channel();
    let news = orders.clone();
    let peer = Peer::new(
        &pipeline,
        webrtc::start_bps(context, if target.publish == Publish::ProgramAndSlots { SlotId::MAX.into() } else { 0 }),
        Arc::new(move |it| {
            // Refused only when the session has ended.
            let _ = news.send(Order::News(it));
        }),
    )?;
    let (pictures, sounds) = (Link::Encoded(EncodeJob::Stream), Link::ProgramSound);
    let program = Pair::add(&peer, &pipeline, "program".to_owned(), wish.audio_bitrate_bps, pictures, sounds)?;
    let shared = Arc::new(Shared::default());
    let setup = Setup {
        context: context.clone(),
        leg: wish.config.clone(),
        target: target.clone(),
        reporter: reporter.clone(),
        mailbox: mailbox.clone(),
        shared: shared.clone(),
        peer: peer.clone(),
        orders: inbox,
    };
    let mut part = LivekitPart {
        pipeline,
        peer,
        listener: None,
        context: context.clone(),
        publish: target.publish,
        shared,
        mailbox: mailbox.clone(),
        orders,
        setup: Some(setup),
        program,
        slots: BTreeMap::new(),
        pairs: 0,
        sending: false,
        audio_bitrate_bps: wish.audio_bitrate_bps,
        on_air: wish.on_air.clone(),
        unmute: wish.unmute,
    };
    part.tell(Order::OnAir(wish.on_air.clone()));
    part.follow_slots(wish)?;
    Ok(Box::new(part))
}

impl Pair {
    fn add(
        peer: &Peer,
        pipeline: &gst::Pipeline,
        name: String,
        sound_bps: u64,
        pictures: Link,
        sounds: Link,
    ) -> Result<Self, Failure> {
        let video = VideoTrack::add(peer, pipeline, &name)?;
        let sound = SoundTrack::add(peer, pipeline, sound_bps, &name)?;
        Ok(Self { name, video, sound, pictures, sounds })
    }

    fn start(&mut self, context: &Context) {
        self.sound.start(context, self.sounds);
        self.video.start(context, self.pictures, &self.sound);
    }

    fn stop(&mut self) {
        self.video.stop();
        self.sound.stop();
    }

    /// For good: GStreamer 1.22 cannot wake a media section that sleeps, so whoever comes back gets a new one.
    fn withdraw(&mut self) {
        self.stop();
        self.video.section.withdraw();
        self.sound.section.withdraw();
    }

    fn announced(&self, context: &Context, leads: bool) -> [Announced; 2] {
        let sample = context.links.last_sample(self.pictures);
        let caps = sample.as_ref().and_then(|sample| sample.caps()).and_then(|caps| caps.structure(0));
        let side = |name| caps.and_then(|it| it.get::<i32>(name).ok()).and_then(|it| u32::try_from(it).ok());
        let (width, height) =
            (side("width").unwrap_or(context.format.width), side("height").unwrap_or(context.format.height));
        let video = Announced {
            id: self.video.section.id().to_owned(),
            name: self.name.clone(),
            medium: Medium::Video,
            width,
            height,
            bitrate_bps: ANNOUNCED_BPS,
            leads,
        };
        let id = self.sound.section.id().to_owned();
        let sound = Announced { id, medium: Medium::Audio, width: 0, height: 0, ..video.clone() };
        [video, sound]
    }
}

impl LivekitPart {
    fn tell(&self, order: Order) {
        // Refused only when the session has ended, and said why.
        let _ = self.orders.send(order);
    }

    /// The server opens a connection of its own, or goes on with it.
    fn listen(&mut self, approach: Approach) -> Result<(), Failure> {
        match (approach, &self.listener) {
            (Approach::Offer { number, sdp }, Some(listener)) => listener.offered(number, &sdp),
            (Approach::Offer { number, sdp }, None) => {
                let orders = self.orders.clone();
                let say = Arc::new(move |reply| {
                    // Refused only when the session has ended.
                    let _ = orders.send(Order::Reply(reply));
                });
                let listener = Listener::add(&self.pipeline, &self.shared.servers(), say)?;
                listener.offered(number, &sdp);
                self.listener = Some(listener);
            }
            (Approach::Candidate { line, text }, Some(listener)) => {
                if !listener.candidate(line, &text) {
                    tracing::debug!("a candidate of the server makes no sense");
                }
            }
            // Of no offer.
            (Approach::Candidate { .. }, None) => {}
        }
        Ok(())
    }

    /// Makes the tracks of slots those that are wished, and tells the session of all there are.
    fn follow_slots(&mut self, wish: &director::Leg) -> Result<(), Failure> {
        let wanted = |slot: &SlotId| self.publish == Publish::ProgramAndSlots && wish.slots.contains_key(slot);
        let gone: Vec<SlotId> = self.slots.keys().copied().filter(|slot| !wanted(slot)).collect();
        let come: Vec<SlotId> =
            wish.slots.keys().copied().filter(|slot| wanted(slot) && !self.slots.contains_key(slot)).collect();
        for slot in gone {
            if let Some(mut pair) = self.slots.remove(&slot) {
                pair.withdraw();
            }
        }
        for slot in come {
            self.pairs += 1;
            if self.pairs > MAX_PAIRS {
                let why = "slots came and went too often for one connection";
                return Err(Failure::new(ErrorClass::NetworkLost, why));
            }
            let (pictures, sounds) = (Link::Encoded(EncodeJob::SlotStream(slot)), Link::SlotSound(slot));
            let name = format!("slot-{slot}");
            let mut pair = Pair::add(&self.peer, &self.pipeline, name, SLOT_SOUND_BPS, pictures, sounds)?;
            if self.setup.is_none() {
                pair.video.play();
                pair.sound.play();
            }
            if self.sending {
                pair.start(&self.context);
            }
            self.slots.insert(slot, pair);
        }
        let slots = self.slots.values().flat_map(|pair| pair.announced(&self.context, false));
        let tracks = self.program.announced(&self.context, true).into_iter().chain(slots).collect();
        self.tell(Order::Publish(tracks));
        Ok(())
    }
}

impl Part for LivekitPart {
    fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    fn playing(&mut self) -> Result<(), Failure> {
        if let Some(setup) = self.setup.take() {
            session::start(setup).map_err(Failure::internal)?;
        }
        Ok(())
    }

    fn update(&mut self, wish: &Wish) {
        let Wish::Leg(_, wish) = wish else { return };
        if wish.on_air != self.on_air {
            self.on_air.clone_from(&wish.on_air);
            self.tell(Order::OnAir(wish.on_air.clone()));
        }
        if wish.audio_bitrate_bps != self.audio_bitrate_bps {
            self.audio_bitrate_bps = wish.audio_bitrate_bps;
            self.program.sound.set_bitrate(wish.audio_bitrate_bps);
        }
        if wish.unmute > self.unmute {
            self.tell(Order::Unmute);
        }
        self.unmute = wish.unmute;
        if self.publish == Publish::ProgramAndSlots
            && !self.slots.keys().eq(wish.slots.keys())
            && let Err(failure) = self.follow_slots(wish)
        {
            self.shared.outcome.fail(failure, &self.mailbox);
        }
    }

    fn message(&mut self, message: &gst::Message) -> Handled {
        let Some(failure) = webrtc::failure(message) else { return Handled::No };
        if self.listener.as_ref().is_some_and(|listener| listener.owns(message)) {
            // Nothing of ours is on it. A server that cannot do without ends the session itself.
            tracing::warn!(%failure, "the server's own connection is broken");
            return Handled::Yes;
        }
        self.tell(Order::Broken(failure));
        Handled::Yes
    }

    fn nudged(&mut self) -> Result<(), Failure> {
        self.shared.outcome.result()?;
        for approach in self.shared.approaches() {
            self.listen(approach)?;
        }
        if self.shared.is_connected() && !self.sending {
            self.sending = true;
            self.program.start(&self.context);
            self.slots.values_mut().for_each(|pair| pair.start(&self.context));
        }
        let muted = self.shared.muted();
        for pair in std::iter::once(&self.program).chain(self.slots.values()) {
            pair.video.mute(muted.contains(pair.video.section.id()));
            pair.sound.mute(muted.contains(pair.sound.section.id()));
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.program.stop();
        self.slots.values_mut().for_each(Pair::stop);
        let (done, said) = std::sync::mpsc::channel();
        self.tell(Order::Leave(done));
        webrtc::hear_farewell(&said);
    }
}

#[cfg(test)]
mod tests;
