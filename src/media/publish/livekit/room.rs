//! The session as the server's messages tell it; pure: a message in, what is to be done out. Nothing a server sends
//! makes it fail.

use std::collections::{BTreeMap, BTreeSet};

use cuebox_core::director::Medium;
use cuebox_core::status::LinkQuality;
use livekit_protocol as proto;
use proto::leave_request::Action;
use proto::participant_info::{Kind, State};
use proto::signal_response::Message as Response;

use super::failures;
use crate::media::part::Failure;

/// More participants than this are not followed one by one.
const MAX_PARTICIPANTS: usize = 10_000;
/// Candidates that wait for the answer they belong to.
const MAX_EARLY: usize = 64;

/// What a message asks for.
#[derive(Debug)]
pub enum Act {
    /// Give it to the connection.
    Answer {
        /// Of the offer.
        number: u32,
        sdp: String,
    },
    Candidate {
        line: u32,
        text: String,
    },
    /// The server opens a connection of its own.
    Offered {
        number: u32,
        sdp: String,
    },
    /// To that one.
    Approached {
        line: u32,
        text: String,
    },
    Refreshed(String),
    Audience(u32),
    /// These have arrived and can hear.
    Arrived(Vec<String>),
    Published,
    /// The server answers the ping of this time, milliseconds since 1970.
    Ponged(i64),
    Muted {
        id: String,
        medium: Medium,
        on: bool,
        told: bool,
    },
    Quality(LinkQuality),
    Resume,
    End(Failure),
}

/// A track of ours, as we asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub id: String,
    pub name: String,
    pub medium: Medium,
    /// Its mute state is the leg's.
    pub leads: bool,
    sid: Option<String>,
    muted: bool,
}

#[derive(Debug, Default)]
pub struct Room {
    own: String,
    pub may_update: bool,
    /// The others, with whether they can hear.
    others: BTreeMap<String, (String, bool, bool)>,
    told_audience: Option<u32>,
    tracks: Vec<Track>,
    answered: bool,
    early: Vec<(u32, String)>,
}

impl Room {
    /// Takes the server's welcome.
    ///
    /// # Errors
    /// Why the box cannot publish here.
    pub fn join(&mut self, join: &proto::JoinResponse) -> Result<Vec<Act>, Failure> {
        use cuebox_core::director::ErrorClass;
        let own = join.participant.as_ref().filter(|own| !own.sid.is_empty());
        let own = own.ok_or_else(|| Failure::new(ErrorClass::Format, "the server's welcome names no participant"))?;
        self.own.clone_from(&own.sid);
        if let Some(permission) = &own.permission {
            self.may_update = permission.can_update_metadata;
            if !permission.can_publish {
                return Err(Failure::new(ErrorClass::Unauthorised, "the token does not allow to publish"));
            }
        }
        self.others.clear();
        Ok(self.update(&join.other_participants))
    }

    /// The participant's id on the server, by which it resumes.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// A track that is to be published; false: it is known already.
    pub fn add(&mut self, id: &str, name: &str, medium: Medium, leads: bool) -> bool {
        if self.tracks.iter().any(|track| track.id == id) {
            return false;
        }
        let track = Track { id: id.to_owned(), name: name.to_owned(), medium, leads, sid: None, muted: false };
        self.tracks.push(track);
        true
    }

    /// Only these tracks are published from now on.
    pub fn keep(&mut self, ids: &BTreeSet<String>) {
        self.tracks.retain(|track| ids.contains(&track.id));
    }

    /// The server has accepted every track.
    pub fn is_published(&self) -> bool {
        self.tracks.iter().all(|track| track.sid.is_some())
    }

    /// No pictures are sent: the host muted all of them.
    pub fn is_blind(&self) -> bool {
        self.tracks.iter().filter(|track| track.medium == Medium::Video).all(|track| track.muted)
    }

    /// What the host muted, by the server's ids; from now on it counts as heard and seen.
    pub fn unmute(&mut self) -> (Vec<String>, Vec<Act>) {
        let (mut sids, mut acts) = (Vec::new(), Vec::new());
        for track in self.tracks.iter_mut().filter(|track| track.muted) {
            track.muted = false;
            sids.extend(track.sid.clone());
            acts.push(Act::Muted { id: track.id.clone(), medium: track.medium, on: false, told: track.leads });
        }
        (sids, acts)
    }

    pub fn take(&mut self, message: Response) -> Vec<Act> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the protocol has dozens of messages and grows")]
        match message {
            Response::Answer(answer) => {
                self.answered = true;
                let early = std::mem::take(&mut self.early);
                let early = early.into_iter().map(|(line, text)| Act::Candidate { line, text });
                std::iter::once(Act::Answer { number: answer.id, sdp: answer.sdp }).chain(early).collect()
            }
            Response::Offer(offer) => vec![Act::Offered { number: offer.id, sdp: offer.sdp }],
            Response::Trickle(trickle) => self.trickle(&trickle),
            Response::Update(update) => self.update(&update.participants),
            Response::TrackPublished(published) => self.published(&published),
            Response::Mute(mute) => self.muted(&mute.sid, mute.muted),
            Response::RefreshToken(token) if !token.is_empty() => vec![Act::Refreshed(token)],
            Response::PongResp(pong) => vec![Act::Ponged(pong.last_ping_timestamp)],
            Response::ConnectionQuality(update) => self.quality(&update),
            Response::Leave(leave) => match leave.action() {
                Action::Resume => vec![Act::Resume],
                Action::Reconnect | Action::Disconnect => vec![Act::End(failures::of_leave(&leave))],
            },
            Response::TrackUnpublished(gone) => {
                self.tracks
                    .iter_mut()
                    .filter(|it| it.sid.as_ref() == Some(&gone.track_sid))
                    .for_each(|it| it.sid = None);
                Vec::new()
            }
            // The rest concerns whoever subscribes, or is answered elsewhere.
            _ => Vec::new(),
        }
    }

    fn trickle(&mut self, trickle: &proto::TrickleRequest) -> Vec<Act> {
        let Ok(init) = serde_json::from_str::<serde_json::Value>(&trickle.candidate_init) else { return Vec::new() };
        let text = init.get("candidate").and_then(serde_json::Value::as_str).unwrap_or_default();
        let line = init.get("sdpMLineIndex").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let (Ok(line), false) = (u32::try_from(line), text.is_empty()) else { return Vec::new() };
        if trickle.target() == proto::SignalTarget::Subscriber {
            return vec![Act::Approached { line, text: text.to_owned() }];
        }
        if self.answered {
            return vec![Act::Candidate { line, text: text.to_owned() }];
        }
        if self.early.len() < MAX_EARLY {
            self.early.push((line, text.to_owned()));
        }
        Vec::new()
    }

    fn update(&mut self, participants: &[proto::ParticipantInfo]) -> Vec<Act> {
        let mut arrived = Vec::new();
        for info in participants {
            if info.sid == self.own {
                self.may_update = info.permission.as_ref().map_or(self.may_update, |it| it.can_update_metadata);
                continue;
            }
            if info.state() == State::Disconnected {
                self.others.remove(&info.sid);
                continue;
            }
            let active = info.state() == State::Active;
            let counts = matches!(info.kind(), Kind::Standard | Kind::Sip);
            let known = self.others.get(&info.sid).is_some_and(|(_, active, _)| *active);
            if active && !known {
                arrived.push(info.identity.clone());
            }
            if self.others.len() < MAX_PARTICIPANTS || self.others.contains_key(&info.sid) {
                self.others.insert(info.sid.clone(), (info.identity.clone(), active, counts));
            }
        }
        let mut acts = Vec::new();
        let now = self.others.values().filter(|(_, _, counts)| *counts).count();
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        if self.told_audience != Some(now) {
            self.told_audience = Some(now);
            acts.push(Act::Audience(now));
        }
        if !arrived.is_empty() {
            acts.push(Act::Arrived(arrived));
        }
        acts
    }

    fn published(&mut self, published: &proto::TrackPublishedResponse) -> Vec<Act> {
        let Some(info) = &published.track else { return Vec::new() };
        let Some(track) = self.tracks.iter_mut().find(|track| track.id == published.cid) else { return Vec::new() };
        track.sid = Some(info.sid.clone());
        let mut acts = vec![Act::Published];
        if info.muted {
            acts.extend(self.muted(&info.sid.clone(), true));
        }
        acts
    }

    fn muted(&mut self, sid: &str, on: bool) -> Vec<Act> {
        let Some(track) = self.tracks.iter_mut().find(|track| track.sid.as_deref() == Some(sid)) else {
            return Vec::new();
        };
        if std::mem::replace(&mut track.muted, on) == on {
            return Vec::new();
        }
        vec![Act::Muted { id: track.id.clone(), medium: track.medium, on, told: track.leads }]
    }

    fn quality(&self, update: &proto::ConnectionQualityUpdate) -> Vec<Act> {
        let own = update.updates.iter().find(|it| it.participant_sid == self.own);
        let shown = own.map(|own| match own.quality() {
            proto::ConnectionQuality::Excellent => LinkQuality::Excellent,
            proto::ConnectionQuality::Good => LinkQuality::Good,
            proto::ConnectionQuality::Poor => LinkQuality::Poor,
            proto::ConnectionQuality::Lost => LinkQuality::Lost,
        });
        shown.map(Act::Quality).into_iter().collect()
    }
}
