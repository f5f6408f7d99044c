//! What tells one board from another, as the kernel shows it.

use cuebox_core::board::Machine;

/// Reads what there is; a machine without a device tree or a model name is still a machine.
pub fn machine() -> Machine {
    let compatible = std::fs::read("/proc/device-tree/compatible").unwrap_or_default();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Machine {
        compatible: split(&compatible),
        cpu: model_name(&cpu).to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
    }
}

/// The device tree's strings each end with a zero byte.
fn split(strings: &[u8]) -> Vec<String> {
    let parts = strings.split(|byte| *byte == 0).filter(|part| !part.is_empty());
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn model_name(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_forms_are_read() {
        assert_eq!(split(b"raspberrypi,4-model-b\0brcm,bcm2711\0"), ["raspberrypi,4-model-b", "brcm,bcm2711"]);
        assert_eq!(split(b""), Vec::<String>::new());
        assert_eq!(model_name("processor\t: 0\nmodel name\t: Intel(R) N100\n"), "Intel(R) N100");
        assert_eq!(model_name(""), "");
    }
}
