//! The isolation of a container from its host.

use std::collections::HashMap;

use super::record::{digest, namespace_mode};
use super::responses::{Device, HostConfig, RestartPolicy};
use crate::manifest::container::Security;

/// Normalizes the settings of Docker and Podman, as far as they mean the same. `names` are the names of all containers,
/// by id.
pub(super) fn of(user: &str, host: &HostConfig, names: &HashMap<String, String>) -> Security {
    let list = |list: &Option<Vec<String>>, one: fn(&str) -> Box<str>| -> Vec<Box<str>> {
        list.iter().flatten().map(|text| one(text)).collect()
    };
    let mut devices: Vec<_> = host.devices.iter().flatten().map(device).collect();
    devices.extend(list(&host.device_cgroup_rules, |rule| rule.into()));
    let security = Security {
        privileged: host.privileged,
        cap_add: list(&host.cap_add, capability),
        cap_drop: list(&host.cap_drop, capability),
        user: user.into(),
        pid_mode: namespace_mode(&host.pid_mode, names),
        ipc_mode: namespace_mode(&host.ipc_mode, names),
        userns_mode: namespace_mode(&host.userns_mode, names),
        security_opt: list(&host.security_opt, option),
        devices,
        read_only_root: host.readonly_rootfs,
        restart: restart(&host.restart_policy),
    };
    security.canonical()
}

/// `NET_ADMIN`, which some engines report as `CAP_NET_ADMIN`.
fn capability(name: &str) -> Box<str> {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).into()
}

/// A security option. Docker's client passes whole profiles, which are recorded by their digest.
fn option(option: &str) -> Box<str> {
    match option.split_once(['=', ':']) {
        Some((name, profile)) if profile.trim_start().starts_with('{') => {
            format!("{name}=sha256:{}", digest(profile.as_bytes()).hex()).into()
        }
        _ => option.into(),
    }
}

fn device(device: &Device) -> Box<str> {
    let Device { path_on_host, path_in_container, cgroup_permissions } = device;
    format!("{path_on_host}:{path_in_container}:{cgroup_permissions}").into()
}

fn restart(policy: &RestartPolicy) -> Box<str> {
    match (policy.name.as_str(), policy.maximum_retry_count) {
        ("", _) => "no".into(),
        (name, 0) => name.into(),
        (name, most) => format!("{name}:{most}").into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn security(host: serde_json::Value) -> Security {
        of("1000", &serde_json::from_value(host).unwrap(), &HashMap::from([("a".repeat(64), "db".to_owned())]))
    }

    #[test]
    fn the_same_settings_in_other_words_are_the_same() {
        let docker = security(json!({
            "CapAdd": ["CAP_SYS_ADMIN", "net_admin"],
            "PidMode": format!("container:{}", "a".repeat(64)),
            "SecurityOpt": ["seccomp={\"defaultAction\":\"SCMP_ACT_ERRNO\"}", "no-new-privileges"],
            "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
            "DeviceCgroupRules": ["c 13:* rwm"],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        }));
        let list = |texts: &[&str]| -> Vec<Box<str>> { texts.iter().map(|&text| text.into()).collect() };
        assert_eq!(docker.cap_add, list(&["NET_ADMIN", "SYS_ADMIN"]));
        assert_eq!((&*docker.user, &*docker.pid_mode, &*docker.restart), ("1000", "container:db", "on-failure:3"));
        assert_eq!(docker.devices, list(&["/dev/fuse:/dev/fuse:rwm", "c 13:* rwm"]));
        let profile = digest(b"{\"defaultAction\":\"SCMP_ACT_ERRNO\"}").hex();
        assert_eq!(docker.security_opt, list(&["no-new-privileges", &format!("seccomp=sha256:{profile}")]));
        let other = security(json!({"CapAdd": ["NET_ADMIN", "SYS_ADMIN", "CAP_NET_ADMIN"]}));
        assert_eq!(other.cap_add, docker.cap_add);
    }

    #[test]
    fn what_an_engine_leaves_out_has_its_default() {
        let plain = security(json!({}));
        assert!(!plain.privileged && !plain.read_only_root && plain.devices.is_empty());
        assert_eq!(&*plain.restart, "no");
        assert_eq!(security(json!({"RestartPolicy": {"Name": "always"}})).restart, "always".into());
    }
}
