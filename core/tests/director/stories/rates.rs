//! What the network carries, and what becomes of picture, sound, slots and other destinations.

use crate::world::{Mood, World, autostart, encoders, livekit, ms, rtmp, slot};
use cuebox_core::config::Config;
use cuebox_core::director::{Encode, EncodeJob, ErrorClass, Event, Fact, Job, PictureSize};
use cuebox_core::ids::LegId;
use cuebox_core::status::LegState;

use super::SECOND;

fn main_leg() -> Job {
    Job::Leg(LegId::new("main"))
}

fn estimate(world: &mut World, leg: &str, bits_per_second: u64) {
    world.fact(Job::Leg(LegId::new(leg)), Fact::Estimated { bits_per_second });
}

fn stream(world: &World) -> Encode {
    world.wanted().encodes[&EncodeJob::Stream].clone()
}

fn sound(world: &World, leg: &str) -> u64 {
    world.wanted().legs[&LegId::new(leg)].audio_bitrate_bps
}

fn state(world: &World, leg: &str) -> LegState {
    world.status().legs.iter().find(|status| status.name.as_str() == leg).unwrap().state
}

fn carrying(config: Config) -> World {
    let mut world = World::new(config, 1);
    world.until("main carries", SECOND * 5, |world| state(world, "main") == LegState::Carrying);
    world
}

fn with(slots: bool) -> Config {
    let mut config = autostart();
    config.legs = vec![livekit("main", Some(1), slots), rtmp("backup", Some(2))];
    config
}

#[test]
fn the_stream_starts_at_seventy_per_cent_and_goes_to_its_target_where_nobody_knows_a_limit() {
    let mut world = World::new(with(false), 1);
    world.until("it is encoded", SECOND * 5, |world| world.wanted().encodes.contains_key(&EncodeJob::Stream));
    assert_eq!(stream(&world).bitrate_bps, 2_800_000);
    world.until("main carries", SECOND * 5, |world| state(world, "main") == LegState::Carrying);
    world.until("target", SECOND * 10, |world| stream(world).bitrate_bps == 4_000_000);
}

#[test]
fn the_stream_follows_the_network_and_no_recording_feels_it() {
    let mut world = carrying(with(false));
    world.pass(SECOND * 10);
    let recordings = |world: &World| {
        let mut encodes = world.wanted().encodes.clone();
        encodes.remove(&EncodeJob::Stream);
        (encodes, world.wanted().recordings.clone())
    };
    let (before, epoch) = (recordings(&world), stream(&world).epoch);
    estimate(&mut world, "main", 1_000_000);
    assert_eq!(stream(&world).bitrate_bps, 900_000 - 128_000, "at once, less what the sound takes");
    assert_eq!((stream(&world).picture.height, sound(&world, "main")), (540, 128_000));
    world.pass(SECOND);
    estimate(&mut world, "main", 350_000);
    assert_eq!(stream(&world).bitrate_bps, 315_000 - 32_000);
    assert_eq!(stream(&world).picture, PictureSize { width: 640, height: 360, fps: 15 });
    assert_eq!((sound(&world, "main"), stream(&world).epoch), (32_000, epoch));
    let shown = world.status().encodes.into_iter().find(|encode| encode.job == "stream").unwrap();
    assert_eq!((shown.height, shown.fps), (360, 15));
    assert_eq!(shown.why.as_deref(), Some("smaller, as the network carries no more"));
    estimate(&mut world, "main", 10_000_000);
    world.until("back at the target", SECOND * 30, |world| stream(world).bitrate_bps == 4_000_000);
    world.until("full picture", SECOND * 30, |world| stream(world).picture.height == 720);
    assert_eq!((sound(&world, "main"), recordings(&world)), (128_000, before));
}

#[test]
fn it_never_goes_below_the_least_bitrate() {
    let mut world = carrying(with(false));
    estimate(&mut world, "main", 10_000);
    world.pass(SECOND);
    assert_eq!((stream(&world).bitrate_bps, sound(&world, "main")), (150_000, 32_000));
}

#[test]
fn an_encode_that_the_programs_recording_shares_keeps_its_size() {
    let mut world = World::bare(with(false), 1);
    world.boot();
    let mut small = encoders();
    small.working[0].max_sessions = Some(6);
    world.tell(Event::EncodersProbed(small));
    world.until("main carries", SECOND * 5, |world| state(world, "main") == LegState::Carrying);
    assert!(!world.wanted().encodes.contains_key(&EncodeJob::ProgramRecord));
    estimate(&mut world, "main", 300_000);
    world.pass(SECOND);
    assert_eq!(stream(&world).picture, PictureSize { width: 1280, height: 720, fps: 30 });
    assert_eq!(stream(&world).bitrate_bps, 270_000 - 32_000);
}

#[test]
fn the_leg_that_carries_leads_and_with_it_one_that_proves_itself() {
    let mut world = carrying(with(false));
    estimate(&mut world, "main", 1_000_000);
    world.fail(main_leg(), ErrorClass::NetworkLost);
    let held = stream(&world).bitrate_bps;
    world.pass(ms(100));
    assert_eq!(stream(&world).bitrate_bps, held, "while nobody carries it is left alone");
    world.until("backup carries", SECOND * 3, |world| state(world, "backup") == LegState::Carrying);
    world.until("main proves itself", SECOND * 5, |world| state(world, "main") == LegState::Proving);
    estimate(&mut world, "main", 800_000);
    assert_eq!(stream(&world).bitrate_bps, 720_000 - 128_000);
    world.mood(main_leg(), Mood::Fails(ErrorClass::NetworkLost));
    world.fail(main_leg(), ErrorClass::NetworkLost);
    world.until("the rest is backup's", SECOND * 30, |world| stream(world).bitrate_bps == 4_000_000);
}

#[test]
fn the_fallback_begins_as_a_stream_does_and_not_at_what_the_failing_leg_fell_to() {
    let mut world = carrying(with(false));
    estimate(&mut world, "main", 200_000);
    world.pass(SECOND);
    world.mood(main_leg(), Mood::Fails(ErrorClass::NetworkLost));
    world.fail(main_leg(), ErrorClass::NetworkLost);
    world.until("backup carries", SECOND * 3, |world| state(world, "backup") == LegState::Carrying);
    let Encode { bitrate_bps, picture, .. } = stream(&world);
    assert!(bitrate_bps >= 2_800_000, "{bitrate_bps}");
    assert_eq!((picture.height, picture.fps), (720, 30));
}

#[test]
fn a_destination_that_is_too_weak_for_the_stream_is_named_and_slows_nobody() {
    let mut config = with(false);
    config.legs.push(livekit("other", None, false));
    let mut world = carrying(config);
    estimate(&mut world, "main", 8_000_000);
    world.until("target", SECOND * 10, |world| stream(world).bitrate_bps == 4_000_000);
    estimate(&mut world, "other", 900_000);
    world.pass(ms(2_900));
    assert_eq!(state(&world, "other"), LegState::Carrying, "a short weakness is none");
    world.pass(ms(200));
    assert_eq!(state(&world, "other"), LegState::Distressed);
    let why = world.status().legs[2].why.clone();
    assert_eq!(why.as_deref(), Some("its network carries 900 kbit/s, less than the stream"));
    assert_eq!((stream(&world).bitrate_bps, sound(&world, "main")), (4_000_000, 128_000));
    estimate(&mut world, "other", 5_000_000);
    assert_eq!(state(&world, "other"), LegState::Carrying);
    estimate(&mut world, "other", 900_000);
    world.pass(SECOND);
    estimate(&mut world, "main", 700_000);
    world.pass(SECOND * 5);
    assert_eq!(state(&world, "other"), LegState::Carrying, "the stream is small enough for it now");
}

#[test]
fn without_an_uplink_the_weakest_destination_leads() {
    let mut config = autostart();
    config.legs = vec![livekit("main", None, false), livekit("other", None, false)];
    let mut world = carrying(config);
    world.until("both carry", SECOND * 5, |world| state(world, "other") == LegState::Carrying);
    estimate(&mut world, "main", 3_000_000);
    estimate(&mut world, "other", 1_500_000);
    world.pass(SECOND);
    assert_eq!(stream(&world).bitrate_bps, 1_350_000 - 128_000);
    world.pass(SECOND * 10);
    assert_eq!(state(&world, "other"), LegState::Carrying);
}

#[test]
fn slots_beside_the_program_are_the_first_to_give_way_and_come_back_when_there_is_room() {
    let mut world = carrying(with(true));
    let slots = |world: &World| world.wanted().legs.get(&LegId::new("main")).map(|leg| leg.slots.len());
    world.until("five slots", SECOND * 5, |world| slots(world) == Some(5));
    let each = |world: &World| world.wanted().encodes.get(&EncodeJob::SlotStream(slot(1))).map(|it| it.bitrate_bps);
    assert_eq!(each(&world), Some(400_000));
    estimate(&mut world, "main", 4_000_000);
    world.pass(SECOND);
    assert_eq!(each(&world), Some(175_000), "30 % of what is left, in five parts, in steps");
    estimate(&mut world, "main", 2_000_000);
    assert_eq!((slots(&world), each(&world)), (Some(0), None), "at once");
    world.until("the program has it", SECOND * 3, |world| stream(world).bitrate_bps == 1_800_000 - 128_000);
    estimate(&mut world, "main", 4_000_000);
    world.pass(ms(9_000));
    assert_eq!(slots(&world), Some(0));
    world.until("they are back", ms(1_500), |world| slots(world) == Some(5));
}

#[test]
fn slots_have_what_a_small_program_cannot_use() {
    let mut config = with(true);
    config.program.video_bitrate_bps = 1_000_000;
    let mut world = carrying(config);
    let slots = |world: &World| world.wanted().legs.get(&LegId::new("main")).map(|leg| leg.slots.len());
    world.until("five slots", SECOND * 5, |world| slots(world) == Some(5));
    estimate(&mut world, "main", 2_400_000);
    world.pass(SECOND * 3);
    assert_eq!((slots(&world), stream(&world).bitrate_bps), (Some(5), 1_000_000));
}
