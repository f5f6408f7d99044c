//! `cueboxfilesink`: hands what a muxer writes to a [`SegmentFile`]. Private to recordings; it has no properties, its
//! file is given before it starts.

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;

use super::file::{Ledger, SegmentFile};

glib::wrapper! {
    pub struct FileSink(ObjectSubclass<imp::FileSink>) @extends gst_base::BaseSink, gst::Element, gst::Object;
}

impl FileSink {
    /// A sink that writes into `file`, not paced by the clock.
    pub fn new(file: SegmentFile, ledger: Arc<Ledger>) -> Self {
        use gst_base::prelude::*;
        let sink: Self = glib::Object::new();
        sink.set_sync(false);
        sink.set_property("async", false);
        let target = imp::Target { file, ledger, at: 0 };
        *sink.imp().0.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
        sink
    }
}

mod imp {
    use super::*;
    use std::io;

    pub struct Target {
        pub file: SegmentFile,
        pub ledger: Arc<Ledger>,
        /// Where the next buffer goes.
        pub at: u64,
    }

    #[derive(Default)]
    pub struct FileSink(pub Mutex<Option<Target>>);

    #[glib::object_subclass]
    impl ObjectSubclass for FileSink {
        const NAME: &'static str = "CueboxFileSink";
        type Type = super::FileSink;
        type ParentType = gst_base::BaseSink;
    }

    impl ObjectImpl for FileSink {}
    impl GstObjectImpl for FileSink {}

    impl ElementImpl for FileSink {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: std::sync::LazyLock<gst::subclass::ElementMetadata> = std::sync::LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Cuebox file sink",
                    "Sink/File",
                    "Writes a recording so that a power cut cannot make it unreadable",
                    "Cuebox",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: std::sync::LazyLock<Vec<gst::PadTemplate>> = std::sync::LazyLock::new(|| {
                let caps = gst::Caps::new_any();
                gst::PadTemplate::new("sink", gst::PadDirection::Sink, gst::PadPresence::Always, &caps)
                    .into_iter()
                    .collect()
            });
            &TEMPLATES
        }
    }

    impl FileSink {
        fn with_target(&self, act: impl FnOnce(&mut Target) -> io::Result<()>) -> Result<(), gst::FlowError> {
            let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(target) = guard.as_mut() else { return Err(gst::FlowError::Flushing) };
            act(target).map_err(|error| {
                let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                let code = if full { gst::ResourceError::NoSpaceLeft } else { gst::ResourceError::Write };
                gst::element_imp_error!(self, code, ["{error}"]);
                target.ledger.note_fault(error);
                gst::FlowError::Error
            })
        }
    }

    impl BaseSinkImpl for FileSink {
        fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
            let data = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            self.with_target(|target| {
                target.file.write(target.at, &data)?;
                target.at += data.len() as u64;
                Ok(())
            })?;
            Ok(gst::FlowSuccess::Ok)
        }

        /// The muxer seeks with segments in bytes, and ends with EOS.
        fn event(&self, event: gst::Event) -> bool {
            if let gst::EventView::Segment(segment) = event.view()
                && let Some(bytes) = segment.segment().downcast_ref::<gst::format::Bytes>()
                && let Some(start) = bytes.start()
            {
                let start = u64::from(start);
                let _ = self.with_target(|target| {
                    target.at = start;
                    Ok(())
                });
            }
            if matches!(event.view(), gst::EventView::Eos(_)) && self.with_target(|it| it.file.finish()).is_err() {
                return false;
            }
            self.parent_event(event)
        }

        /// A muxer that cannot seek would not finish its file.
        fn query(&self, query: &mut gst::QueryRef) -> bool {
            if let gst::QueryViewMut::Seeking(seeking) = query.view_mut() {
                let bytes = seeking.format() == gst::Format::Bytes;
                if bytes {
                    seeking.set(true, gst::format::Bytes::ZERO, gst::format::Bytes::NONE);
                } else {
                    seeking.set(false, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                }
                return true;
            }
            BaseSinkImplExt::parent_query(self, query)
        }

        /// The file is closed with the element.
        fn stop(&self) -> Result<(), gst::ErrorMessage> {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
            Ok(())
        }
    }
}
