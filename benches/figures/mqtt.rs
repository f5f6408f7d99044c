//! Commands that a client repeats until they are answered, at a broker that is killed under it: none may be lost, and
//! none may act twice.

#[allow(dead_code, reason = "shared with the tests of the box")]
#[path = "../../tests/box/mqtt/broker.rs"]
mod broker;
#[path = "../../tests/box/mqtt/repeated.rs"]
mod commands;

use std::time::Duration;

use broker::Broker;
use commands::Plan;

use super::harness::{Folder, timeline, until};
use super::{hands, row};

pub fn repeated() {
    let folder = Folder::new("bench-repeated");
    let mut broker = Broker::start_kept(&folder);
    let mqtt = format!("[panel]\nhid = false\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", broker.port);
    let cuebox = hands::start(&folder, &mqtt);
    let connected = || cuebox.status().is_some_and(|status| status["mqtt"]["state"] == "connected");
    until("the broker is connected", 20, connected);
    let plan = Plan { commands: 10_000, pace: Duration::from_millis(12), restarts: 20, up: Duration::from_secs(10) };
    let outcome = commands::run(&mut broker, &plan, connected);
    let show = cuebox.show();
    cuebox.done(&["show", "stop"]);
    cuebox.stop();
    let acted = commands::markers(&timeline(&show));
    let lost = (0..plan.commands).filter(|number| !acted.contains_key(number)).count();
    let doubled = acted.values().filter(|times| **times > 1).count();
    let otherwise = outcome.answers.values().filter(|answers| **answers != ["\"done\""]).count();
    row(
        &format!("commands lost or doubled over {}, the broker killed or ended {} times", plan.commands, plan.restarts),
        "0",
        &format!("{lost} lost, {doubled} doubled, {otherwise} answered otherwise than done"),
        &format!("lines of the timeline; {} messages sent", outcome.sent),
    );
}
