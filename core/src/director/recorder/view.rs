//! What the recorder shows of itself: the runs that are wished, its status, and its invariants.

use std::collections::BTreeMap;

use crate::director::context::Context;
use crate::director::library::Library;
use crate::director::timers::Reason;
use crate::director::wanted::Recording;
use crate::ids::{Epoch, Track};
use crate::status::{RecordingState, RecordingStatus, ShowStatus};

use super::run::Run;
use super::{Folder, Recorder, State};

impl Recorder {
    pub fn wish(&self) -> BTreeMap<Track, Recording> {
        let State::Running { show, .. } = &self.state else { return BTreeMap::new() };
        let wish = |(epoch, run): (&Epoch, &Run)| {
            let recording = Recording {
                epoch: *epoch,
                show: show.new.id.clone(),
                from: run.from.0,
                first_number: run.first_number,
                folder: self.folder.clone(),
                origin: show.new.origin,
                segment_from: run.segment_from,
            };
            (run.track, recording)
        };
        self.runs.iter().filter(|(_, run)| run.retired.is_none()).map(wish).collect()
    }

    pub fn show_status(&self) -> Option<ShowStatus> {
        let show = &self.show()?.new;
        Some(ShowStatus { id: show.id.clone(), name: show.name.clone(), started: show.started })
    }

    pub fn status(&self, library: &Library) -> RecordingStatus {
        let sealing = self.runs.values().any(|run| !run.open.is_empty());
        let active = self.tracks.values().any(|lane| lane.active.is_some());
        let failing = !active && self.tracks.values().any(|lane| lane.cooling);
        let blocked = self.unwritable.clone().or_else(|| self.halted.clone());
        let folder_failed = matches!(self.state, State::Running { folder: Folder::Failed, .. });
        let (state, why) = match (&self.state, blocked) {
            (State::Preparing { .. } | State::Running { .. }, Some(why)) if self.recording => {
                (RecordingState::Failed, Some(why))
            }
            (State::Preparing { .. }, _) if self.recording => (RecordingState::Preparing, None),
            (State::Running { .. }, _) if self.recording && folder_failed => {
                (RecordingState::Failed, Some("the show's folder cannot be made".to_owned()))
            }
            (State::Running { .. }, _) if self.recording && active => (RecordingState::Recording, None),
            (State::Running { .. }, _) if self.recording && failing => {
                (RecordingState::Failed, Some("every recording failed and is tried again".to_owned()))
            }
            (State::Running { .. }, _) if self.recording => (RecordingState::Preparing, None),
            (State::Sealing { .. }, _) => (RecordingState::Sealing, None),
            (State::Idle | State::Preparing { .. } | State::Running { .. }, _) if sealing => {
                (RecordingState::Sealing, None)
            }
            (State::Idle | State::Preparing { .. } | State::Running { .. }, _) => (RecordingState::Idle, None),
        };
        RecordingStatus { state, why, files: self.show().map_or(0, |show| library.files(&show.new.id)) }
    }

    pub fn check(&self, context: &Context) {
        let wished = self.runs.values().filter(|run| run.retired.is_none()).count();
        let active: Vec<Epoch> = self.tracks.values().filter_map(|lane| lane.active).collect();
        assert_eq!(wished, active.len(), "each wished run belongs to its track");
        assert!(self.may_record() || wished == 0, "nothing is recorded that may not be");
        for (epoch, run) in &self.runs {
            let retired = run.retired.is_some();
            assert_eq!(context.timers.is_set(&Reason::SealLate(*epoch)), retired, "a retired run has its deadline");
            assert_eq!(active.contains(epoch), !retired, "a run is wished or retired");
            let next = self.tracks.get(&run.track).map_or(0, |lane| lane.next_number);
            assert!(run.open.keys().all(|number| *number < next), "no number is used twice");
        }
        for (track, lane) in &self.tracks {
            assert!(!(lane.cooling && lane.active.is_some()), "{track:?} waits or records");
            assert_eq!(
                context.timers.is_set(&Reason::RecordRetries(*track)),
                lane.cooling,
                "a failed track is retried"
            );
            let watched = context.timers.is_set(&Reason::RecordStalls(*track));
            assert_eq!(watched, lane.active.is_some(), "a recording is watched: {track:?}");
        }
        let set = |reason| context.timers.is_set(&reason);
        let present = (set(Reason::ShowPrepared), set(Reason::Rotate), set(Reason::ShowCloses));
        let expected = match &self.state {
            State::Idle => (false, false, false),
            State::Preparing { .. } => (true, false, false),
            State::Running { .. } => (false, true, false),
            State::Sealing { .. } => (false, false, present.2),
        };
        assert_eq!(present, expected, "timers of the show in {:?}", self.state);
        let waits = matches!(self.state, State::Sealing { .. }) && !present.2;
        assert!(!waits || self.owes(), "a show that waits to be closed waits for something");
    }
}
