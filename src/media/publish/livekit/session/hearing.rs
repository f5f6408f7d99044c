//! What the server and the connection tell, and what follows.

use std::time::Instant;

use cuebox_core::config::Secret;
use cuebox_core::director::{ErrorClass, Fact};
use livekit_protocol as proto;
use proto::signal_request::Message as Request;

use super::{SILENT, Session, no_media, unix_ms};
use crate::media::part::Failure;
use crate::media::publish::livekit::answering::Approach;
use crate::media::publish::livekit::line::{Heard, Signal};
use crate::media::publish::livekit::room::Act;
use crate::media::publish::webrtc::{Connection, News, Reply};

impl Session {
    pub(super) async fn heard(&mut self, heard: Heard) -> Result<(), Failure> {
        match heard {
            Heard::Message(message) => {
                self.heard_at = Instant::now();
                let acts = self.room.take(*message);
                self.perform(acts)
            }
            Heard::Lost => {
                self.resume();
                Ok(())
            }
            Heard::Resumed(Ok((socket, early))) => {
                tracing::info!(leg = %self.setup.leg.name, "the LiveKit session goes on, on a new socket");
                self.heard_at = Instant::now();
                self.signal = Some(Signal::Up(socket));
                self.tries = 0;
                self.answering.new_socket();
                for request in std::mem::take(&mut self.waiting) {
                    self.send(request).await;
                }
                self.ask().await;
                for message in early {
                    let acts = self.room.take(message);
                    self.perform(acts)?;
                }
                Ok(())
            }
            Heard::Resumed(Err(failure)) => {
                let network = matches!(
                    failure.class,
                    ErrorClass::NetworkLost
                        | ErrorClass::ConnectionRefused
                        | ErrorClass::Timeout
                        | ErrorClass::UnknownHost
                );
                if !network || !self.media || self.gauge.silent_for() > SILENT {
                    return Err(self.refused(failure));
                }
                tracing::debug!(leg = %self.setup.leg.name, "the session cannot be resumed yet: {failure}");
                self.resume();
                Ok(())
            }
        }
    }

    pub(super) async fn news(&mut self, news: News) -> Result<(), Failure> {
        match news {
            News::Offered(sdp) => {
                self.negotiation.offered(&sdp);
                self.ask().await;
            }
            News::Candidate { line, text } => {
                self.send(trickle(proto::SignalTarget::Publisher, line, &text)).await;
            }
            News::Answered => {
                if self.negotiation.taken() {
                    self.setup.peer.offer();
                }
            }
            News::Refused(why) => return Err(Failure::new(ErrorClass::Format, why)),
            News::Connection(Connection::Connected) => {
                self.media = true;
                self.gauge.heard();
                self.accepted();
            }
            News::Connection(Connection::Failed) => {
                // Of a connection that stood, it is the network that is lost.
                self.break_off(if self.media {
                    Failure::new(ErrorClass::NetworkLost, "no media reaches the server any more")
                } else {
                    no_media()
                });
            }
            News::Connection(Connection::Connecting | Connection::Interrupted) | News::Gathered => {}
            News::Estimated(bps) => self.gauge.estimated(bps),
            News::ChannelOpen => self.announce(&[]),
        }
        Ok(())
    }

    /// Of the connection that the server opened. The box wants nothing from it; but where a token allows to listen, the
    /// server counts a participant as arrived by it, and sends away within a minute whoever has not.
    pub(super) async fn replied(&mut self, reply: Reply) {
        match reply {
            Reply::Answer { number: id, sdp } => {
                if self.answered() {
                    let r#type = "answer".to_owned();
                    let answer = proto::SessionDescription { r#type, sdp, id, ..Default::default() };
                    self.send(Request::Answer(answer)).await;
                }
            }
            Reply::Candidate { line, text } => {
                self.send(trickle(proto::SignalTarget::Subscriber, line, &text)).await;
            }
            Reply::Refused(why) => {
                self.answered();
                tracing::warn!(leg = %self.setup.leg.name, why, "the server's own connection is not taken");
            }
        }
    }

    /// Whether the server waits for what its own connection has answered now.
    fn answered(&mut self) -> bool {
        let (newest, next) = self.answering.answered();
        self.approach(next);
        newest
    }

    /// Gives the server's own connection what there is for it.
    fn approach(&self, approaches: impl IntoIterator<Item = Approach>) {
        for approach in approaches {
            self.setup.shared.approach(approach);
            self.setup.mailbox.nudge();
        }
    }

    /// Media is lost. Whoever is sent away loses it as well, and hears why a moment later.
    pub(super) fn break_off(&mut self, failure: Failure) {
        self.broken.get_or_insert((Instant::now(), failure));
    }

    pub(super) fn perform(&mut self, acts: Vec<Act>) -> Result<(), Failure> {
        for act in acts {
            match act {
                Act::Answer { number, sdp } => {
                    if !self.negotiation.answered(number) {
                        tracing::debug!(leg = %self.setup.leg.name, number, "nobody waits for this answer");
                        continue;
                    }
                    let answered = self.setup.peer.answer(&sdp);
                    answered.map_err(|error| Failure::new(ErrorClass::Format, format!("the server gives {error}")))?;
                }
                Act::Candidate { line, text } => {
                    if !self.setup.peer.candidate(line, &text) {
                        tracing::debug!(leg = %self.setup.leg.name, "a candidate of the server makes no sense");
                    }
                }
                Act::Offered { number, sdp } => {
                    let now = self.answering.offered(number, sdp);
                    self.approach(now);
                }
                Act::Approached { line, text } => {
                    let now = self.answering.approached(line, text);
                    self.approach(now);
                }
                Act::Refreshed(token) => {
                    self.door.token = Secret::new(token.clone());
                    self.setup.context.credentials.refreshed(&self.setup.leg, Secret::new(token));
                }
                Act::Audience(now) => self.setup.reporter.fact(Fact::Audience { now }),
                Act::Arrived(who) => self.announce(&who),
                Act::Published => self.accepted(),
                Act::Ponged(sent_ms) => self.gauge.ponged(unix_ms().saturating_sub(sent_ms)),
                Act::Muted { id, medium, on, told } => {
                    self.setup.shared.mute(&id, on);
                    self.setup.mailbox.nudge();
                    if told {
                        self.setup.reporter.fact(Fact::Muted { medium, on });
                    }
                }
                Act::Quality(quality) => self.gauge.judged(quality),
                Act::Resume => self.resume(),
                Act::End(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Media stands and the server has accepted every track: the leg is connected.
    pub(super) fn accepted(&mut self) {
        if self.told || !self.media || !self.room.is_published() {
            return;
        }
        self.told = true;
        self.setup.reporter.fact(Fact::Connected);
        self.setup.shared.connect();
        self.setup.mailbox.nudge();
    }
}

fn trickle(target: proto::SignalTarget, line: u32, text: &str) -> Request {
    let init = serde_json::json!({ "candidate": text, "sdpMLineIndex": line, "sdpMid": null });
    Request::Trickle(proto::TrickleRequest { candidate_init: init.to_string(), target: target.into(), r#final: false })
}
