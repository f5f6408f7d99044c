//! Whatever a server sends, the session goes on or ends with a reason.

use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_response::Message as Response;

use super::super::room::Room;
use super::super::socket::decode;
use crate::media::publish::tests::random::{Random, rounds};
use crate::media::publish::webrtc::sdp;

fn participant(sid: &str) -> proto::ParticipantInfo {
    proto::ParticipantInfo { sid: sid.to_owned(), identity: format!("i-{sid}"), state: 2, ..Default::default() }
}

fn join() -> proto::JoinResponse {
    proto::JoinResponse {
        participant: Some(participant("own")),
        other_participants: vec![participant("a")],
        ..Default::default()
    }
}

/// One of each kind that is acted on, and some that are not.
fn messages() -> Vec<Response> {
    let track = proto::TrackInfo { sid: "TR_1".to_owned(), muted: true, ..Default::default() };
    let candidate = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMLineIndex":0}"#;
    vec![
        Response::Join(join()),
        Response::Answer(proto::SessionDescription { sdp: ANSWER.to_owned(), ..Default::default() }),
        Response::Offer(proto::SessionDescription { sdp: ANSWER.to_owned(), ..Default::default() }),
        Response::Trickle(proto::TrickleRequest { candidate_init: candidate.to_owned(), ..Default::default() }),
        Response::Trickle(proto::TrickleRequest {
            candidate_init: candidate.to_owned(),
            target: 1,
            ..Default::default()
        }),
        Response::Update(proto::ParticipantUpdate { participants: vec![participant("a"), participant("own")] }),
        Response::TrackPublished(proto::TrackPublishedResponse { cid: "one".to_owned(), track: Some(track) }),
        Response::TrackPublished(proto::TrackPublishedResponse::default()),
        Response::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: "TR_1".to_owned() }),
        Response::Mute(proto::MuteTrackRequest { sid: "TR_1".to_owned(), muted: true }),
        Response::Leave(proto::LeaveRequest { reason: 99, action: -3, ..Default::default() }),
        Response::ConnectionQuality(proto::ConnectionQualityUpdate {
            updates: vec![proto::ConnectionQualityInfo {
                participant_sid: "own".to_owned(),
                quality: 77,
                score: f32::NAN,
            }],
        }),
        Response::RefreshToken("a.b.c".to_owned()),
        Response::Reconnect(proto::ReconnectResponse::default()),
        Response::Pong(i64::MIN),
    ]
}

const OFFER: &str = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:program one\r\nm=audio 9 UDP/TLS/RTP/SAVPF 97\r\n\
                     a=ssrc:7 msid:program two\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
const ANSWER: &str = "v=0\r\na=fingerprint:sha-256 AA\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
                      m=audio 9 UDP/TLS/RTP/SAVPF 97\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

#[test]
fn messages_out_of_order_spoilt_or_of_random_bytes_never_panic() {
    let mut random = Random(0x5eed_0001);
    let messages = messages();
    let encoded: Vec<Vec<u8>> =
        messages.iter().map(|it| proto::SignalResponse { message: Some(it.clone()) }.encode_to_vec()).collect();
    for _ in 0..rounds(200) {
        let mut room = Room::default();
        if random.below(4) > 0 {
            assert!(room.join(&join()).is_ok());
        }
        room.add("one", "program", cuebox_core::director::Medium::Video, true);
        for _ in 0..100 {
            let bytes = match random.below(3) {
                0 => random.bytes(300),
                1 => encoded[random.below(encoded.len())].clone(),
                _ => {
                    let at = random.below(encoded.len());
                    random.spoil(&encoded[at])
                }
            };
            if let Some(message) = decode(&bytes) {
                let _ = room.take(message);
            }
            let _ = room.unmute();
        }
    }
}

#[test]
fn answers_are_taken_when_they_fit_and_refused_with_a_reason_when_not() {
    assert_eq!(sdp::check_answer(OFFER, ANSWER), Ok(()));
    let table: [(&str, String); 6] = [
        ("empty", String::new()),
        ("no sections", "v=0\r\n".to_owned()),
        ("another kind", ANSWER.replace("m=audio", "m=image")),
        ("no password", ANSWER.replace("a=ice-pwd:p\r\n", "")),
        ("a control character", ANSWER.replace("AA", "A\0A")),
        ("endless", format!("{ANSWER}{}", "a=x\r\n".repeat(100_000))),
    ];
    for (what, answer) in table {
        assert!(sdp::check_answer(OFFER, &answer).is_err(), "{what}");
    }
    let mut random = Random(0x5eed_0002);
    for _ in 0..rounds(5_000) {
        let bytes = if random.below(2) == 0 { random.bytes(600) } else { random.spoil(ANSWER.as_bytes()) };
        let text = String::from_utf8_lossy(&bytes);
        let _ = sdp::check_answer(OFFER, &text);
        let _ = sdp::check(&text);
        let _ = sdp::candidate(&text);
    }
}

#[test]
fn candidates_are_given_on_only_when_they_are_some() {
    let good = "candidate:842163049 1 udp 1677729535 192.0.2.7 46154 typ srflx raddr 10.0.0.1 rport 9";
    assert_eq!(sdp::candidate(good), Some(good));
    assert_eq!(sdp::candidate(&format!("a={good}\r\n")), Some(good));
    let tcp = "candidate:1 1 TCP 1 fd00::2 7881 typ host tcptype passive";
    assert_eq!(sdp::candidate(tcp), Some(tcp));
    for bad in [
        "",
        "candidate:",
        "candidate:1 1 udp x 192.0.2.7 1 typ host",
        "candidate:1 1 udp 1 not.an.address 1 typ host",
        "candidate:1 1 sctp 1 192.0.2.7 1 typ host",
        "candidate:1 1 udp 1 192.0.2.7 99999 typ host",
    ] {
        assert_eq!(sdp::candidate(bad), None, "{bad}");
    }
    assert_eq!(sdp::candidate(&format!("{good} {}", "x".repeat(2_000))), None);
}
