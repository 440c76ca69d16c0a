//! The request: one line with a declaration.

use std::path::Path;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::PROTOCOL;
use crate::declaration::{Check, Declaration, Format, LockFormat};
use crate::error::{Error, ErrorKind};
use crate::manifest::Kind;
use crate::path::escaped;

/// The longest request, in bytes: the limit of a declaration.
pub const LIMIT: u64 = 4 << 20;

/// A check, and its root on the server.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub check: &'a Check,
    pub root: &'a Path,
}

/// What to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The entries, to compare them.
    Entries,
    /// The entries with the `nar` of each module, to write locks, and the inventories of engines.
    Export,
    /// The entries, and contents of files after a second request.
    Contents,
}

impl Extent {
    const ALL: [Self; 3] = [Self::Entries, Self::Export, Self::Contents];

    const fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Export => "export",
            Self::Contents => "contents",
        }
    }
}

/// A parsed request.
#[derive(Debug)]
pub struct Request {
    pub declaration: Declaration,
    /// Whether it requires a full sandbox.
    pub require_sandbox: bool,
    pub extent: Extent,
}

#[derive(Serialize)]
struct Written<'a> {
    driftlock_collect: u64,
    require_sandbox: bool,
    extent: &'static str,
    declaration: Checks<'a>,
}

#[derive(Deserialize)]
struct Version {
    driftlock_collect: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    #[serde(rename = "driftlock_collect")]
    _version: u64,
    require_sandbox: bool,
    extent: String,
    #[serde(borrow)]
    declaration: &'a RawValue,
}

/// The line that requests these checks, with its line feed.
///
/// # Errors
/// The request is too large.
pub fn line(asked: &[Asked<'_>], require_sandbox: bool, extent: Extent) -> Result<Vec<u8>, Error> {
    let extent = extent.name();
    let request = Written { driftlock_collect: PROTOCOL, require_sandbox, extent, declaration: Checks(asked) };
    let failed = |problem: String| {
        Error::new(ErrorKind::Server, format!("the checks can't be requested: {problem}"), "declare fewer checks")
    };
    let mut line = serde_json::to_vec(&request).map_err(|error| failed(error.to_string()))?;
    line.push(b'\n');
    if line.len() as u64 > LIMIT {
        return Err(failed(format!("they take more than {LIMIT} bytes")));
    }
    Ok(line)
}

/// Parses a request.
///
/// # Errors
/// The request is malformed, has another version, or its checks are invalid.
pub fn parse(line: &[u8]) -> Result<Request, Error> {
    let refused = |problem: String| {
        Error::new(
            ErrorKind::Server,
            format!("the request is refused: {}", escaped(problem.as_bytes())),
            "send it with `driftlock check --server` of the same version as this one",
        )
    };
    let version: Version = serde_json::from_slice(line).map_err(|error| refused(error.to_string()))?;
    if version.driftlock_collect != PROTOCOL {
        return Err(refused(format!(
            "its version is {}, and this driftlock supports only {PROTOCOL}",
            version.driftlock_collect
        )));
    }
    let request: Read<'_> = serde_json::from_slice(line).map_err(|error| refused(error.to_string()))?;
    let text = request.declaration.get();
    let declaration =
        Declaration::parse("request", Format::Json, text.as_bytes()).map_err(|error| refused(error.to_string()))?;
    let place = |check: &Check| check.engine.as_ref().map_or(check.root.clone(), |engine| engine.socket.clone());
    if let Some(check) = declaration.checks.iter().find(|check| !place(check).is_absolute()) {
        return Err(refused(format!("the root or the socket of the check {} is not absolute", check.name)));
    }
    let extent = Extent::ALL.into_iter().find(|known| known.name() == request.extent);
    let extent = extent.ok_or_else(|| refused("its extent is unknown".to_owned()))?;
    Ok(Request { declaration, require_sandbox: request.require_sandbox, extent })
}

/// The checks as in a declaration, in order.
struct Checks<'a>(&'a [Asked<'a>]);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Table<'a>(&'a [Asked<'a>]);
        impl Serialize for Table<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|asked| (&asked.check.name, Keys(*asked))))
            }
        }
        let mut table = serializer.serialize_map(Some(1))?;
        table.serialize_entry("check", &Table(self.0))?;
        table.end()
    }
}

struct Keys<'a>(Asked<'a>);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Asked { check, root } = self.0;
        let mut table = serializer.serialize_map(None)?;
        // Only the client knows the Compose files; for the server, these are containers with a label.
        let kind = if check.kind == Kind::Compose { Kind::Containers } else { check.kind };
        table.serialize_entry("kind", kind.name())?;
        match &check.engine {
            Some(engine) if check.kind == Kind::ContainerFiles => {
                table.serialize_entry("socket", &engine.socket)?;
                table.serialize_entry("container", &engine.containers.first())?;
            }
            Some(engine) => {
                table.serialize_entry("socket", &engine.socket)?;
                if !engine.containers.is_empty() {
                    table.serialize_entry("containers", &engine.containers)?;
                }
                if !check.selection.exclude.is_empty() {
                    table.serialize_entry("exclude", &check.selection.exclude)?;
                }
                if !engine.labels.is_empty() {
                    table.serialize_entry("labels", &engine.labels)?;
                }
                if engine.one_off {
                    table.serialize_entry("one_off", &true)?;
                }
            }
            None => {
                table.serialize_entry("one_file_system", &check.one_file_system)?;
                table.serialize_entry("strict", &check.strict)?;
            }
        }
        if kind != Kind::Containers {
            table.serialize_entry("root", root)?;
            if !check.selection.include.is_empty() {
                table.serialize_entry("include", &check.selection.include)?;
            }
            table.serialize_entry("exclude", &check.selection.exclude)?;
        }
        // The format determines which entries there are.
        if check.lock.format == LockFormat::Sha256sum {
            table.serialize_entry("lock", &check.lock.name)?;
        }
        // With `allow_empty`, no pattern need match.
        if kind != Kind::Containers || check.allow_empty {
            table.serialize_entry("allow_empty", &check.allow_empty)?;
        }
        table.serialize_entry("attributes", &check.attributes.names().collect::<Vec<_>>())?;
        table.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATION: &str = r#"
        [check.z]
        kind = "files"
        root = "infra"
        include = ["*/a \"b\"", "é"]
        exclude = ["old-*"]
        attributes = ["mode", "xattrs"]
        lock = "z.lock.json"
        one_file_system = true
        strict = true
        [check."a.b"]
        kind = "trees"
        root = "modules"
        modes = ["server"]
        [check.images]
        kind = "containers"
        socket = "/run/s"
        containers = ["b", "a-*"]
        exclude = ["a-x*"]
        labels = { "com.docker.compose.project" = "shop", "" = "" }
        one_off = true
        allow_empty = true
        attributes = ["env"]
        [check.all]
        kind = "containers"
        socket = "/run/s"
        [check.conf]
        kind = "container_files"
        socket = "/run/s"
        container = "nginx"
        root = "/etc/nginx"
        exclude = ["x"]
    "#;

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let declared = Declaration::parse("t", Format::Toml, DECLARATION.as_bytes()).unwrap();
        let roots = ["/srv/ü", "/m", "", "", "/etc/nginx"].map(Path::new);
        let asked: Vec<_> = declared.checks.iter().zip(roots).map(|(check, root)| Asked { check, root }).collect();
        let line = line(&asked, true, Extent::Export).unwrap();
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        let Request { declaration: read, require_sandbox, extent } = parse(&line).unwrap();
        assert!(require_sandbox);
        assert_eq!(extent, Extent::Export);
        for extent in Extent::ALL {
            let plain = super::line(&asked, false, extent).unwrap();
            assert_eq!(parse(&plain).unwrap().extent, extent);
        }
        assert_eq!(read.checks.len(), 5);
        for ((asked, read), root) in declared.checks.iter().zip(&read.checks).zip(roots) {
            assert_eq!((&asked.name, asked.kind, root), (&read.name, read.kind, &*read.root));
            assert_eq!(asked.engine, read.engine);
            assert_eq!(asked.selection.include, read.selection.include);
            assert_eq!(asked.selection.exclude, read.selection.exclude);
            assert_eq!(
                (asked.attributes, asked.one_file_system, asked.strict),
                (read.attributes, read.one_file_system, read.strict)
            );
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let good = r#"{"driftlock_collect":5,"require_sandbox":false,"extent":"entries","declaration":{"check":{"a":{"kind":"trees","root":"/a"}}}}"#;
        assert!(parse(good.as_bytes()).is_ok());
        for (from, to, problem) in [
            ("5,", "1,", "its version is 1, and this driftlock supports only 5"),
            ("{\"driftlock_collect\":5,", "{", "missing field `driftlock_collect`"),
            ("\"extent\":\"entries\",", "", "missing field `extent`"),
            ("entries", "everything", "its extent is unknown"),
            ("false,", "false,\"more\":1,", "unknown field `more`"),
            ("\"root\":\"/a\"", "\"root\":\"a\"", "the root or the socket of the check a is not absolute"),
            ("trees", "forest", "unknown kind `forest`"),
            ("{\"a\":{\"kind\":\"trees\",\"root\":\"/a\"}}", "{}", "no checks are declared"),
            ("}}}}", "}}}", "EOF while parsing"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let refused = parse(bad.as_bytes()).unwrap_err();
            assert!(refused.problem.contains(problem), "{bad}: {}", refused.problem);
        }
    }
}
