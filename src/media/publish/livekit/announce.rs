//! What the room is told: the tracks, and which camera they show.

use std::collections::HashMap;

use cuebox_core::director::{Medium, OnAir};
use livekit_protocol as proto;
use prost::Message as _;

use super::shared::Announced;

/// The data channel's name, which the server expects.
pub const CHANNEL: &str = "_reliable";
/// Topic of the data messages, and name of the participant's attribute.
pub const TOPIC: &str = "cuebox.program";

/// `{"on_air":3,"name":"Altar","frame":1234}`, all `null` for the slate.
pub fn payload(on_air: Option<&OnAir>) -> String {
    let slot = on_air.map(|it| u8::from(it.slot));
    let name = on_air.map(|it| it.name.as_str());
    let frame = on_air.map(|it| it.frame.0);
    serde_json::json!({ "on_air": slot, "name": name, "frame": frame }).to_string()
}

/// A data message; `to`: identities, none for everybody.
pub fn packet(payload: &str, to: &[String]) -> Vec<u8> {
    let user =
        proto::UserPacket { payload: payload.as_bytes().to_vec(), topic: Some(TOPIC.to_owned()), ..Default::default() };
    let packet = proto::DataPacket {
        destination_identities: to.to_vec(),
        value: Some(proto::data_packet::Value::User(user)),
        ..Default::default()
    };
    packet.encode_to_vec()
}

pub fn attributes(payload: &str) -> proto::UpdateParticipantMetadata {
    let attributes = HashMap::from([(TOPIC.to_owned(), payload.to_owned())]);
    proto::UpdateParticipantMetadata { attributes, ..Default::default() }
}

/// The request to publish a track.
pub fn track(track: &Announced) -> proto::AddTrackRequest {
    let (kind, source, layers) = match track.medium {
        Medium::Video => {
            let layer = proto::VideoLayer {
                quality: proto::VideoQuality::High.into(),
                width: track.width,
                height: track.height,
                bitrate: u32::try_from(track.bitrate_bps).unwrap_or(u32::MAX),
                ..Default::default()
            };
            (proto::TrackType::Video, proto::TrackSource::Camera, vec![layer])
        }
        Medium::Audio => (proto::TrackType::Audio, proto::TrackSource::Microphone, Vec::new()),
    };
    // The program alone is what clients that look for a camera shall find.
    let source = if track.leads { source } else { proto::TrackSource::Unknown };
    proto::AddTrackRequest {
        cid: track.id.clone(),
        name: track.name.clone(),
        r#type: kind.into(),
        source: source.into(),
        width: track.width,
        height: track.height,
        layers,
        // One stream of plain Opus without pauses is sent.
        disable_red: true,
        audio_features: match track.medium {
            Medium::Audio => {
                vec![proto::AudioTrackFeature::TfStereo.into(), proto::AudioTrackFeature::TfNoDtx.into()]
            }
            Medium::Video => Vec::new(),
        },
        stream: track.name.clone(),
        ..Default::default()
    }
}
