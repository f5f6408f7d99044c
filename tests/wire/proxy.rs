//! A TCP proxy in the world that fails as asked.

use super::bench;
use super::lab::{Lab, Side, Tool, WORLD, tool};

pub struct Proxy {
    tool: Tool,
    port: u16,
}

impl Proxy {
    #[track_caller]
    pub fn start(lab: &Lab, port: u16, target: u16) -> Self {
        let mut command = lab.command(Side::World, &bench::python());
        command.args([tool("proxy.py"), format!("0.0.0.0:{port}"), format!("127.0.0.1:{target}")]);
        let mut tool = Tool::start(&mut command);
        assert_eq!(tool.answer().trim(), "ok", "the proxy listens on {port}");
        Self { tool, port }
    }

    /// Its address, without a scheme.
    pub fn address(&self) -> String {
        format!("{WORLD}:{}", self.port)
    }

    /// `pass`, `refuse`, `stall`, `reset`, `slow BYTES`, `drop`: see the tool's head.
    #[track_caller]
    pub fn order(&mut self, order: &str) {
        self.tool.order(order);
    }
}
