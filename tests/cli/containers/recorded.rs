//! An engine that answers as Docker 28 with containerd's image store does, field by field, or as Podman, about what a
//! test has in it at that time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::fake::{Reply, Requests, answer, listen};
use crate::harness::World;

#[derive(Default)]
pub struct Recorded {
    /// As `GET /containers/{id}/json` has them.
    pub containers: Vec<Value>,
    /// Their `RepoDigests`, by id.
    pub images: BTreeMap<String, Vec<String>>,
    /// As `GET /libpod/pods/json` has them, which Podman alone answers.
    pub pods: Option<Value>,
    /// What a target that has this in it is answered instead.
    pub instead: Vec<(String, u16)>,
    /// So many lists are answered with status 500 first.
    pub lists_that_fail: usize,
    /// What goes away as soon as it was listed.
    pub leaves_when_listed: Vec<String>,
}

pub type Shared = Arc<Mutex<Recorded>>;

/// An id of 64 digits.
pub fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A container from the image `i…`, as Docker 28 tells of it. `more` goes over it.
pub fn container(digit: char, name: &str, more: &Value) -> Value {
    let mut body = json!({
        "Id": id(digit),
        "Created": "2025-11-03T09:12:44.118273645Z",
        "Path": "/bin/sleep",
        "Args": ["1000"],
        "State": {"Status": "running", "Running": true, "Pid": 4242, "ExitCode": 0, "StartedAt": "2025-11-03T09:12:44Z"},
        "Image": format!("sha256:{}", id('e')),
        "Name": format!("/{name}"),
        "RestartCount": 0,
        "Driver": "overlayfs",
        "Platform": "linux",
        "AppArmorProfile": "docker-default",
        "HostConfig": {
            "NetworkMode": "shop_default",
            "PortBindings": {},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "AutoRemove": false,
            "CapAdd": null,
            "CapDrop": null,
            "IpcMode": "private",
            "PidMode": "",
            "Privileged": false,
            "PublishAllPorts": false,
            "ReadonlyRootfs": false,
            "SecurityOpt": null,
            "UsernsMode": "",
            "Devices": [],
            "DeviceCgroupRules": null,
        },
        "GraphDriver": {"Data": null, "Name": "overlayfs"},
        "Mounts": [],
        "Config": {"Hostname": "c0ffee", "User": "", "Env": ["PATH=/bin"], "Image": "shop/web:1", "Labels": {}},
        "NetworkSettings": {"Networks": {"shop_default": {"IPAddress": "172.18.0.2"}}},
        "ImageManifestDescriptor": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", id('d')),
            "size": 1024,
        },
    });
    merge(&mut body, more);
    body
}

/// Puts one value over another, objects key by key.
pub fn merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(value), Value::Object(over)) => {
            for (key, over) in over {
                merge(value.entry(key.clone()).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

/// Starts one behind `engine.sock`.
pub fn start(world: &World, recorded: Recorded) -> (Shared, Requests) {
    start_at(&world.path("engine.sock"), recorded)
}

/// Starts one behind a socket.
pub fn start_at(socket: &Path, recorded: Recorded) -> (Shared, Requests) {
    let shared = Arc::new(Mutex::new(recorded));
    let state = Arc::clone(&shared);
    let requests = listen(socket, move |target| reply(&mut state.lock().unwrap(), target));
    (shared, requests)
}

fn reply(engine: &mut Recorded, target: &str) -> Reply {
    if let Some((_, status)) = engine.instead.iter().find(|(part, _)| target.contains(part.as_str())) {
        return answer(*status, r#"{"message":"layer does not exist"}"#);
    }
    let name = if engine.pods.is_some() { "Podman Engine" } else { "Engine" };
    let path = target.split_once("/v").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let body = match path {
        _ if target == "/version" => {
            Some(json!({"ApiVersion": "1.51", "MinAPIVersion": "1.24", "Components": [{"Name": name}]}))
        }
        "containers/json?all=1" | "libpod/pods/json" if engine.lists_that_fail > 0 => {
            engine.lists_that_fail -= 1;
            return answer(500, r#"{"message":"no such pod"}"#);
        }
        "containers/json?all=1" => {
            let all = engine.containers.iter().map(listed).collect();
            let leaves = &engine.leaves_when_listed;
            engine.containers.retain(|body| !leaves.iter().any(|name| body["Name"] == format!("/{name}")));
            Some(Value::Array(all))
        }
        "libpod/pods/json" => engine.pods.clone(),
        "images/json" | "networks" => Some(json!([])),
        "volumes" => Some(json!({"Volumes": null})),
        _ => {
            let mut parts = path.split('/');
            let (what, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if what == "images" {
                engine.images.get(id).map(|digests| json!({"Id": id, "RepoDigests": digests}))
            } else {
                engine.containers.iter().find(|body| body["Id"] == id).cloned()
            }
        }
    };
    body.map_or_else(|| answer(404, r#"{"message":"not found"}"#), |body| answer(200, body.to_string()))
}

/// One of `GET /containers/json`.
fn listed(body: &Value) -> Value {
    json!({
        "Id": body["Id"],
        "Names": [body["Name"]],
        "Image": body["Config"]["Image"],
        "ImageID": body["Image"],
        "Created": 1_762_161_164_u64 + body["ListedCreated"].as_u64().unwrap_or_default(),
        "Ports": [],
        "Labels": body["Config"]["Labels"],
        "State": body["State"]["Status"],
        "Status": "Up 2 hours",
        "HostConfig": {"NetworkMode": body["HostConfig"]["NetworkMode"]},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    })
}
