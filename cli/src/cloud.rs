//! Whether this machine is one of a cloud, whose services for its machines hand out what the machine may do.
//!
//! A step that has the network of the machine reaches them. In a chroot connections to them are refused, and the first line of a
//! build says how far; in namespaces nothing looks at where a step connects, for that would cost each connection, and builds do
//! use them: so it is said.

use std::fs;
use std::path::Path;

use wythe_builder::options::NetworkMode;
use wythe_builder::progress::Isolation;

use crate::session::Session;

/// Says that steps with such a network reach services of a cloud, if this machine is one of a cloud.
pub(crate) fn tell_reach(network: NetworkMode, session: &Session) {
    let is_open = matches!(network, NetworkMode::Default | NetworkMode::Host | NetworkMode::Pasta);
    let is_apart = matches!(session.isolation().0, Isolation::Userns | Isolation::SingleId);
    if !is_open || !is_apart {
        return;
    }
    let is_task = session.settings.text(TASK).is_some_and(|address| !address.is_empty());
    let cloud = if is_task { Some("Amazon ECS") } else { of_machine(Path::new(FIRMWARE)) };
    if let Some(cloud) = cloud {
        session.remark(&format!("{REACH} {cloud}, and with them what this machine may do; {HELP}"));
    }
}

/// The cloud that has made a machine, by what its firmware says.
fn of_machine(firmware: &Path) -> Option<&'static str> {
    let said = |name: &str| fs::read_to_string(firmware.join(name)).unwrap_or_default();
    let known = |(file, start, _): &&(&str, &str, &str)| said(file).trim().starts_with(start);
    CLOUDS.iter().find(known).map(|(_, _, cloud)| *cloud)
}

const REACH: &str = "steps have the network of this machine, and reach the services (169.254.169.254 and their like) of";

const HELP: &str =
    "--network=none keeps them away, and --network=allow:HOST,… lets them reach listed hosts alone";

/// What agents of ECS tell a task of themselves.
const TASK: &str = "ECS_CONTAINER_METADATA_URI_V4";

const FIRMWARE: &str = "/sys/class/dmi/id";

/// What firmware says in one of its files, how that begins, and whose it is. Of Microsoft's machines only Azure's have this tag.
const CLOUDS: [(&str, &str, &str); 8] = [
    ("sys_vendor", "Amazon EC2", "Amazon EC2"),
    ("bios_version", "4.11.amazon", "Amazon EC2"),
    ("product_name", "Google Compute Engine", "Google Cloud"),
    ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "Azure"),
    ("sys_vendor", "Alibaba Cloud", "Alibaba Cloud"),
    ("sys_vendor", "DigitalOcean", "DigitalOcean"),
    ("sys_vendor", "Hetzner", "Hetzner"),
    ("product_name", "OpenStack", "OpenStack"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, expected: Option<&str>) {
        let firmware = tempfile::tempdir().unwrap();
        fs::write(firmware.path().join(file), text).unwrap();
        assert_eq!(of_machine(firmware.path()), expected, "{file}: {text}");
    }

    #[test]
    fn a_machine_of_a_cloud_is_known_by_its_firmware() {
        check("sys_vendor", "Amazon EC2\n", Some("Amazon EC2"));
        check("product_name", "Google Compute Engine\n", Some("Google Cloud"));
        check("product_name", "OpenStack Nova\n", Some("OpenStack"));
        check("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n", Some("Azure"));
    }

    #[test]
    fn another_machine_is_none() {
        check("sys_vendor", "Microsoft Corporation\n", None);
        check("sys_vendor", "QEMU\n", None);
        // A notebook.
        check("sys_vendor", "Google\n", None);
        check("product_name", "", None);
    }
}
