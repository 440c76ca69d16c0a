//! The parts of an engine's responses that driftlock reads; everything else is ignored.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// An item of `GET /containers/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerSummary {
    pub id: String,
    /// With a leading slash. A container has one name, and Docker's legacy links add others.
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// `running`, `exited` and so on.
    #[serde(default)]
    pub state: String,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: i64,
}

impl ContainerSummary {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// An item of `GET /libpod/pods/json`, which only Podman has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pod {
    pub id: String,
    pub name: String,
    /// The container that holds the pod's namespaces; empty if there is none.
    #[serde(default)]
    pub infra_id: String,
}

/// `GET /containers/{id}/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerDetails {
    pub id: String,
    /// With a leading slash.
    pub name: String,
    /// The image's id.
    pub image: String,
    pub state: ContainerState,
    pub config: ContainerConfig,
    pub host_config: HostConfig,
    #[serde(default)]
    pub mounts: Option<Vec<MountPoint>>,
    pub network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    pub status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// As requested; empty for the image's user.
    #[serde(default)]
    pub user: String,
    /// The image name that was used to create the container.
    pub image: String,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    pub labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    #[serde(default)]
    pub network_mode: String,
    /// By the port in the container, such as `80/tcp`.
    pub port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
    #[serde(default)]
    pub publish_all_ports: bool,
    /// Options by mount point.
    pub tmpfs: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(default)]
    pub privileged: bool,
    pub cap_add: Option<Vec<String>>,
    pub cap_drop: Option<Vec<String>>,
    #[serde(default)]
    pub pid_mode: String,
    #[serde(default)]
    pub ipc_mode: String,
    #[serde(default)]
    pub userns_mode: String,
    pub security_opt: Option<Vec<String>>,
    pub devices: Option<Vec<Device>>,
    pub device_cgroup_rules: Option<Vec<String>>,
    #[serde(default)]
    pub readonly_rootfs: bool,
    #[serde(default)]
    pub restart_policy: RestartPolicy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    #[serde(default)]
    pub path_on_host: String,
    #[serde(default)]
    pub path_in_container: String,
    #[serde(default)]
    pub cgroup_permissions: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub maximum_retry_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    #[serde(default)]
    pub host_ip: String,
    #[serde(default)]
    pub host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountPoint {
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// For a volume.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub source: String,
    pub destination: String,
    #[serde(rename = "RW")]
    pub writable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// By name.
    pub networks: Option<BTreeMap<String, IgnoredAny>>,
}

/// `GET /images/{id}/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    pub repo_digests: Option<Vec<String>>,
}
