//! MQTT without a connection: which topics there are, what a message on one of them means, and what is published when.
//!
//! | module | what it decides |
//! |---|---|
//! | [`inbound`] | topic and payload → command or refusal, and where the answer goes |
//! | [`outbound`] | the status document → retained topics and events; the newest state wins |
//! | [`discovery`] | what Home Assistant is told of the box |
//! | [`config`] | the `[mqtt]` section's meaning |
//!
//! | topic below `cuebox/<id>/` | retained | holds |
//! |---|---|---|
//! | `availability` | yes | `online`, `offline` (the broker's to say when the box is gone) |
//! | `state` | yes | the status document |
//! | `program` | yes | `{"on_air":1,"slate":false}` |
//! | `slot/<n>/state` | yes | the slot's part of the document |
//! | `event/<kind>` | no | a change, as the event feed tells it |
//! | `command/<verb>` | never | commands, in |
//! | `reply/<id>` | no | answers to whoever gave no response topic |

pub mod config;
pub mod discovery;
pub mod inbound;
pub mod outbound;

use crate::ids::SlotId;

/// Names of one box's topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    base: String,
}

impl Topics {
    pub fn new(box_id: &str) -> Self {
        Self { base: format!("cuebox/{box_id}") }
    }

    pub fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    pub fn state(&self) -> String {
        format!("{}/state", self.base)
    }

    pub fn program(&self) -> String {
        format!("{}/program", self.base)
    }

    pub fn slot(&self, slot: SlotId) -> String {
        format!("{}/slot/{slot}/state", self.base)
    }

    pub fn event(&self, kind: &str) -> String {
        format!("{}/event/{kind}", self.base)
    }

    /// `None`: the id cannot be part of a topic.
    pub fn reply(&self, id: &str) -> Option<String> {
        let plain = !id.is_empty() && !id.contains(['+', '#', '/', '\0']);
        plain.then(|| format!("{}/reply/{id}", self.base))
    }

    pub fn command(&self, verb: &str) -> String {
        format!("{}/command/{verb}", self.base)
    }

    /// What the box subscribes to.
    pub fn commands(&self) -> String {
        self.command("#")
    }

    /// The verb of a command's topic.
    fn verb<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(self.base.as_str())?.strip_prefix("/command/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = include_str!("../../../docs/asyncapi.yaml");
    const PAGE: &str = include_str!("../../../docs/mqtt.md");

    #[test]
    fn the_pages_name_the_topics_that_there_are() {
        let topics = Topics::new("{box}");
        let slot = SlotId::all().next().map(|slot| topics.slot(slot)).unwrap();
        let addresses = [
            topics.availability(),
            topics.state(),
            topics.program(),
            slot.replace("slot/1/", "slot/{number}/"),
            topics.event("{kind}"),
            topics.command("{verb}"),
            topics.reply("{id}").unwrap(),
        ];
        let listed: Vec<&str> = DESCRIPTION.lines().filter_map(|line| line.trim().strip_prefix("address: ")).collect();
        assert_eq!(listed, addresses.each_ref().map(String::as_str));
        for topic in ["availability", "state", "program", "slot/<n>/state", "event/<kind>", "reply/<id>"] {
            assert!(PAGE.contains(&format!("| `{topic}` |")), "{topic}");
        }
    }

    #[test]
    fn an_id_that_would_leave_its_topic_has_none() {
        let topics = Topics::new("hall-1");
        assert_eq!(topics.reply("k-1").as_deref(), Some("cuebox/hall-1/reply/k-1"));
        for id in ["", "a/b", "+", "#", "a\0"] {
            assert_eq!(topics.reply(id), None, "{id:?}");
        }
    }
}
