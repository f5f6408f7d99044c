//! Files and network streams.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use cuebox_core::config::Url;
use cuebox_core::director::{CaptureSource, ErrorClass, Fact};
use gst::prelude::*;

use super::stage::{FPS, Stage, assert_contiguous, failed, first_buffer};
use crate::media::testkit::free_port;

/// A two-second file of 25 fps whose pictures brighten from 20 to 216 over its length, with a tone.
fn film(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("cuebox-{}-{name}.mkv", std::process::id()));
    let line = format!(
        "appsrc name=in format=time caps=video/x-raw,format=GRAY8,width=320,height=180,framerate=25/1 ! videoconvert ! \
         x264enc speed-preset=ultrafast ! matroskamux name=m ! filesink location={} \
         audiotestsrc num-buffers=100 samplesperbuffer=960 volume=0.1 ! audio/x-raw,rate=48000 ! opusenc ! m.",
        path.display()
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for n in 0..50u64 {
        let mut buffer = gst::Buffer::from_mut_slice(vec![(n * 4 + 20) as u8; 320 * 180]);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(n * 40));
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_mseconds(40));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let bus = pipeline.bus().unwrap();
    let end =
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos, gst::MessageType::Error]);
    assert!(matches!(end.unwrap().view(), gst::MessageView::Eos(_)));
    pipeline.set_state(gst::State::Null).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_repeated_file_fills_every_frame_over_its_joints() {
    let mut stage = Stage::open();
    let path = film("repeated");
    let _running = stage.start(1, CaptureSource::File { path: path.clone(), repeat: true });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(6 * FPS as usize);
    let pictures = stage.pictures();
    std::fs::remove_file(path).unwrap();
    assert_contiguous(&pictures);
    let joints: Vec<usize> =
        (1..pictures.len()).filter(|n| pictures[n - 1].middle > 100 + pictures[*n].middle.min(150)).collect();
    assert!(joints.len() >= 2, "it came round: {joints:?}");
    for pair in joints.windows(2) {
        assert!((59..=61).contains(&(pair[1] - pair[0])), "a round is two seconds: {joints:?}");
    }
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64, "sound without a gap");
    }
    let loud = stage.sound().iter().filter(|(_, samples)| samples.iter().any(|sample| sample.abs() > 0.05)).count();
    assert!(loud > 4 * FPS as usize, "{loud} frames with sound");
}

#[test]
fn a_file_that_is_played_once_is_shown_to_its_end_and_then_told_ended() {
    let mut stage = Stage::open();
    let path = film("once");
    let _running = stage.start(1, CaptureSource::File { path: path.clone(), repeat: false });
    stage.wait_fact(1, |fact| matches!(fact, Fact::Ended).then_some(()));
    let pictures = stage.pictures();
    std::fs::remove_file(path).unwrap();
    assert_contiguous(&pictures);
    assert!((58..=61).contains(&pictures.len()), "two seconds: {}", pictures.len());
    assert!(pictures.last().unwrap().middle > 180, "the last picture was shown");
}

#[test]
fn a_source_whose_sound_is_not_the_slots_brings_none() {
    let path = film("silent");
    let file = CaptureSource::File { path: path.clone(), repeat: true };
    for source in [file, CaptureSource::Test { marks: true, tone_hz: Some(440) }] {
        let mut stage = Stage::open();
        let _running = stage.start_as(1, source, false);
        stage.wait_fact(1, first_buffer);
        stage.wait_pictures(FPS as usize);
        assert_eq!(stage.sound().len(), 0);
    }
    std::fs::remove_file(path).unwrap();
}

/// Streams a moving picture and a tone by SRT until dropped.
struct SrtServer(gst::Pipeline);

impl SrtServer {
    fn start(port: u16) -> Self {
        let line = format!(
            "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=180,framerate=25/1 ! \
             x264enc tune=zerolatency key-int-max=10 speed-preset=ultrafast ! h264parse config-interval=-1 ! mpegtsmux name=m alignment=7 ! \
             srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false \
             audiotestsrc is-live=true volume=0.1 ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! m."
        );
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }
}

impl Drop for SrtServer {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

#[test]
fn a_network_stream_is_shown_on_every_frame_with_its_sound() {
    let mut stage = Stage::open();
    let free = free_port();
    let server = SrtServer::start(free);
    let url = Url::new(format!("srt://127.0.0.1:{free}?mode=caller&latency=50"));
    let _running = stage.start(1, CaptureSource::Network { url });
    stage.wait_fact(1, first_buffer);
    // The first second finds out how evenly the stream comes.
    stage.wait_pictures(FPS as usize);
    let settled = stage.pictures().len();
    stage.wait_pictures(3 * FPS as usize);
    let pictures = stage.pictures();
    drop(server);
    assert_contiguous(&pictures[settled..]);
    assert!(pictures.iter().all(|picture| picture.middle > 60), "the bars' green is in the middle");
    let loud = stage.sound().iter().filter(|(_, samples)| samples.iter().any(|sample| sample.abs() > 0.05)).count();
    assert!(loud > 2 * FPS as usize, "{loud} frames with sound");
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64, "sound without a gap");
    }
}

#[test]
fn what_cannot_be_played_is_told_with_its_class() {
    let broken = std::env::temp_dir().join(format!("cuebox-{}-broken.mp4", std::process::id()));
    std::fs::write(&broken, b"this is no film").unwrap();
    let free = format!("127.0.0.1:{}", free_port());
    let file = |path: &str| CaptureSource::File { path: path.to_owned(), repeat: true };
    let table = [
        (file("/nowhere/film.mp4"), ErrorClass::Device),
        (file(&broken.to_string_lossy()), ErrorClass::Format),
        (CaptureSource::Network { url: Url::new(format!("rtmp://{free}/live/a")) }, ErrorClass::ConnectionRefused),
        (CaptureSource::Network { url: Url::new(format!("rtsp://{free}/a")) }, ErrorClass::ConnectionRefused),
    ];
    let mut stage = Stage::open();
    for (epoch, (source, class)) in (1..).zip(table) {
        let _running = stage.start(epoch, source.clone());
        assert_eq!(stage.wait_fact(epoch, failed), class, "{source:?}");
    }
    std::fs::remove_file(broken).unwrap();
}

/// Takes one player and answers its handshake, so that it asks to be let in; then says nothing more.
fn silent_rtmp(listener: &TcpListener) -> TcpStream {
    let (mut player, _) = listener.accept().unwrap();
    player.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut hello = [0; 1 + 1536];
    player.read_exact(&mut hello).unwrap();
    let mut answer = vec![3; 1 + 2 * 1536];
    answer[1..9].fill(0);
    answer[1 + 1536..].copy_from_slice(&hello[1..]);
    player.write_all(&answer).unwrap();
    // Its acknowledgement and the beginning of what it asks.
    player.read_exact(&mut [0; 1536 + 64]).unwrap();
    player
}

#[test]
fn a_source_that_ends_while_it_connects_lets_go_of_its_server() {
    let stage = Stage::open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::new(format!("rtmp://{}/live/a", listener.local_addr().unwrap()));
    let running = stage.start(1, CaptureSource::Network { url });
    let mut player = silent_rtmp(&listener);
    drop(running);
    let mut rest = Vec::new();
    let end = player.read_to_end(&mut rest);
    assert!(end.is_ok(), "the connection is still there: {end:?}");
}
