//! What the server and the viewers are told, and the part's orders to do so.

use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::Session;
use crate::media::part::Failure;
use crate::media::publish::livekit::announce;
use crate::media::publish::livekit::line::Signal;
use crate::media::publish::livekit::shared::Order;

/// What is said while the socket is gone, and is still worth saying afterwards.
const MAX_WAITING: usize = 256;

impl Session {
    pub(super) async fn order(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::News(news) => self.news(news).await?,
            Order::Reply(reply) => self.replied(reply).await,
            Order::OnAir(on_air) => {
                self.on_air = on_air;
                self.announce(&[]);
                self.describe().await;
            }
            Order::Unmute => {
                let (sids, acts) = self.room.unmute();
                for sid in sids {
                    self.send(Request::Mute(proto::MuteTrackRequest { sid, muted: false })).await;
                }
                self.perform(acts)?;
            }
            Order::Publish(tracks) => {
                self.tracks = tracks;
                if self.signal.is_some() {
                    self.publish().await;
                }
            }
            Order::Broken(failure) => self.break_off(failure),
            Order::Leave(_) => {}
        }
        Ok(())
    }

    /// Tells the server of tracks that it does not know, and offers what is there now.
    pub(super) async fn publish(&mut self) {
        self.room.keep(&self.tracks.iter().map(|track| track.id.clone()).collect());
        for track in self.tracks.clone() {
            if self.room.add(&track.id, &track.name, track.medium, track.leads) {
                self.send(Request::AddTrack(announce::track(&track))).await;
            }
        }
        self.offer();
    }

    /// Tells which camera is on air: everybody, or those who came late.
    pub(super) fn announce(&self, to: &[String]) {
        let sent = self.setup.peer.send(&announce::packet(&announce::payload(self.on_air.as_ref()), to));
        tracing::debug!(leg = %self.setup.leg.name, sent, "told who is on air");
    }

    /// Writes it on the participant, for those who come late.
    pub(super) async fn describe(&mut self) {
        if self.room.may_update && self.signal.is_some() {
            let attributes = announce::attributes(&announce::payload(self.on_air.as_ref()));
            self.send(Request::UpdateMetadata(attributes)).await;
        }
    }

    pub(super) fn offer(&mut self) {
        if self.negotiation.change() {
            self.setup.peer.offer();
        }
    }

    /// Asks what the server has not answered yet.
    pub(super) async fn ask(&mut self) {
        let Some((id, sdp)) = self.negotiation.question() else { return };
        let (sdp, r#type) = (sdp.to_owned(), "offer".to_owned());
        self.send(Request::Offer(proto::SessionDescription { r#type, sdp, id, ..Default::default() })).await;
    }

    pub(super) async fn send(&mut self, request: Request) {
        if let Some(Signal::Up(socket)) = &mut self.signal {
            if socket.send(request.clone()).await {
                return;
            }
            self.resume();
        }
        // The offer that is out is asked again on the new socket anyway, and so does the server with its own.
        if !matches!(request, Request::PingReq(_) | Request::Offer(_) | Request::Answer(_))
            && self.waiting.len() < MAX_WAITING
        {
            self.waiting.push_back(request);
        }
    }

    pub(super) fn resume(&mut self) {
        self.signal = Some(Signal::resume(&self.door, self.room.own(), &mut self.tries));
    }

    pub(super) async fn farewell(&mut self) {
        let reason = proto::DisconnectReason::ClientInitiated.into();
        self.send(Request::Leave(proto::LeaveRequest { reason, ..Default::default() })).await;
        if let Some(Signal::Up(socket)) = self.signal.take() {
            socket.close().await;
        }
    }
}
