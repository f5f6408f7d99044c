//! What streaming threads hand to the segmenter, several pictures at a time.
//!
//! Waking a thread costs more than what there is to do for one picture or one block of sound, and everything behind the
//! segmenter (muxer, disk) is woken in the same rhythm. While a file is open and nothing else is to be decided, a tenth of
//! a second is gathered; fragments are half a second long, so a power cut takes hardly more than without. Whenever a
//! picture may decide something (a file is to be opened or ended) each is handed on at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::segmenter::Item;

/// Sound that comes without pictures is handed on in pieces of so many packets (a third of a second).
const MOST: usize = 16;

#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    to: Sender<Vec<Item>>,
    /// Only pictures that follow each other are expected.
    calm: AtomicBool,
    /// Pictures that are handed on together.
    pictures: usize,
}

#[derive(Default)]
struct Gathered {
    items: Vec<Item>,
    pictures: usize,
}

impl Outbox {
    pub fn new(to: Sender<Vec<Item>>, fps: u32) -> Self {
        let pictures = fps.div_ceil(10) as usize;
        Self(Arc::new(Shared { gathered: Mutex::default(), to, calm: AtomicBool::new(false), pictures }))
    }

    /// Never waits; the order is kept.
    pub fn put(&self, item: Item) {
        let now = match &item {
            Item::Picture(_) | Item::Sound(_) => !self.0.calm.load(Ordering::Acquire),
            Item::CutAt(_) | Item::Finish => true,
        };
        let mut gathered = self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.pictures += usize::from(matches!(item, Item::Picture(_)));
        gathered.items.push(item);
        if now || gathered.pictures >= self.0.pictures || gathered.items.len() >= MOST {
            let Gathered { items, .. } = std::mem::take(&mut *gathered);
            // Sent under the lock, so that what is put by two threads stays in order. The segmenter is gone only when
            // the recording ends.
            let _ = self.0.to.send(items);
        }
    }

    /// Whether only pictures that follow each other are expected from now on.
    pub fn set_calm(&self, calm: bool) {
        self.0.calm.store(calm, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use cuebox_core::grid::FrameIndex;

    use super::super::segmenter::Unit;
    use super::*;

    fn picture(frame: u64) -> Item {
        let (buffer, caps) = (gst::Buffer::new(), gst::Caps::new_any());
        Item::Picture(Unit { frame: FrameIndex(frame), key: false, buffer, caps })
    }

    fn sizes(inbox: &Receiver<Vec<Item>>) -> Vec<usize> {
        inbox.try_iter().map(|items| items.len()).collect()
    }

    #[test]
    fn pictures_go_together_only_while_nothing_is_to_be_decided() {
        gst::init().unwrap();
        let (to, inbox) = channel();
        let outbox = Outbox::new(to, 30);
        (0..2).for_each(|frame| outbox.put(picture(frame)));
        assert_eq!(sizes(&inbox), [1, 1]);
        outbox.set_calm(true);
        (2..9).for_each(|frame| outbox.put(picture(frame)));
        assert_eq!(sizes(&inbox), [3, 3]);
        outbox.put(Item::CutAt(FrameIndex(20)));
        assert_eq!(sizes(&inbox), [2], "the one that waited goes before it");
        outbox.put(picture(9));
        outbox.put(Item::Finish);
        assert_eq!(sizes(&inbox), [2]);
    }
}
