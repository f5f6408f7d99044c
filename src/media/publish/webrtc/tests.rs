//! Two connections of this process with each other, and what is spoilt on the way between them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gst::prelude::*;

use super::{Listener, News, Peer, Reply, SoundTrack, VideoTrack};
use crate::media::publish::tests::random::{Random, rounds};

const SOON: Duration = Duration::from_secs(10);

/// Plays until it is dropped.
struct Playing(gst::Pipeline);

impl Playing {
    fn new() -> Self {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// A connection that has made its offer.
fn asking() -> (Playing, Peer, Receiver<News>, String) {
    gst::init().unwrap();
    let pipeline = gst::Pipeline::new();
    let (sender, news) = channel();
    let tell = move |it| {
        let _ = sender.send(it);
    };
    let peer = Peer::new(&pipeline, 1_000_000, Arc::new(tell)).unwrap();
    VideoTrack::add(&peer, &pipeline, "program").unwrap();
    SoundTrack::add(&peer, &pipeline, 64_000, "program").unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    peer.open_channel("data").unwrap();
    peer.offer();
    let offer = first(&news, |it| if let News::Offered(text) = it { Some(text) } else { None });
    (Playing(pipeline), peer, news, offer)
}

fn listener(pipeline: &Playing) -> (Listener, Receiver<Reply>) {
    let (sender, replies): (Sender<Reply>, _) = channel();
    let say = move |it| {
        let _ = sender.send(it);
    };
    (Listener::add(&pipeline.0, &[], Arc::new(say)).unwrap(), replies)
}

fn first<T, F>(from: &Receiver<T>, wanted: impl Fn(T) -> Option<F>) -> F {
    loop {
        let next = from.recv_timeout(SOON).expect("something is told");
        if let Some(found) = wanted(next) {
            return found;
        }
    }
}

/// What became of an offer: the answer, or why there is none.
fn reply(replies: &Receiver<Reply>) -> Result<String, String> {
    first(replies, |it| match it {
        Reply::Answer { sdp, .. } => Some(Ok(sdp)),
        Reply::Refused(why) => Some(Err(why)),
        Reply::Candidate { .. } => None,
    })
}

#[test]
fn whoever_listens_takes_the_connection_and_declines_what_would_be_sent() {
    let (_pipeline, peer, news, offer) = asking();
    let elsewhere = Playing::new();
    let (listener, replies) = listener(&elsewhere);
    listener.offered(7, &offer);
    let answer = reply(&replies).unwrap();
    assert_eq!(answer.matches("a=inactive").count(), 2, "{answer}");
    assert!(!answer.contains("a=recvonly") && answer.contains("m=application 9 "), "{answer}");
    peer.answer(&answer).unwrap();
    first(&news, |it| (it == News::Answered).then_some(()));
}

#[test]
fn spoilt_descriptions_are_taken_or_refused_and_nothing_else_happens() {
    let mut random = Random(0x5eed_0003);
    let (_pipeline, _peer, _news, offer) = asking();
    let elsewhere = Playing::new();
    let (good, replies) = listener(&elsewhere);
    good.offered(1, &offer);
    let answer = reply(&replies).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..rounds(15) {
        let (_pipeline, peer, news, _) = asking();
        let spoilt = String::from_utf8_lossy(&random.spoil(answer.as_bytes())).into_owned();
        let outcome = peer.answer(&spoilt).map_err(|why| why.to_string()).and_then(|()| {
            first(&news, |it| {
                let refused = if let News::Refused(why) = &it { Some(Err(why.clone())) } else { None };
                refused.or_else(|| (it == News::Answered).then_some(Ok(())))
            })
        });
        let elsewhere = Playing::new();
        let (listener, replies) = listener(&elsewhere);
        listener.offered(1, &String::from_utf8_lossy(&random.spoil(offer.as_bytes())));
        for outcome in [outcome, reply(&replies).map(|_| ())] {
            match outcome {
                Ok(()) => taken += 1,
                Err(why) => {
                    assert!(!why.is_empty());
                    refused += 1;
                }
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
}
