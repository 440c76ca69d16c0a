//! What is uncovered, as JSON: a glob with its list, or a link with its target.

use serde::{Deserialize, Serialize};

use super::{GlobList, Uncovered};
use crate::manifest::bytes::{joined, split};
use crate::path::EntryPath;

/// See [`Uncovered`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncoveredItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    glob: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
}

impl From<&Uncovered> for UncoveredItem {
    fn from(uncovered: &Uncovered) -> Self {
        let mut item =
            Self { glob: None, list: None, path: None, path_base64: None, target: None, target_base64: None };
        match uncovered {
            Uncovered::Glob { list, glob } => {
                (item.list, item.glob) = (Some(list.name().to_owned()), Some(glob.clone()));
            }
            Uncovered::Link { path, target } => {
                (item.path, item.path_base64) = split(path.as_bytes());
                (item.target, item.target_base64) = split(target);
            }
        }
        item
    }
}

impl TryFrom<UncoveredItem> for Uncovered {
    type Error = String;

    fn try_from(item: UncoveredItem) -> Result<Self, String> {
        let is_link = item.path.is_some() || item.path_base64.is_some() || item.target.is_some();
        match (item.glob, item.list) {
            (Some(glob), Some(list)) if !is_link && item.target_base64.is_none() => {
                let list = GlobList::ALL.into_iter().find(|known| known.name() == list);
                Ok(Self::Glob { list: list.ok_or("the list of a glob is not known")?, glob })
            }
            (None, None) => Ok(Self::Link {
                path: EntryPath::new(joined(item.path, item.path_base64)?).map_err(|error| error.to_string())?,
                target: joined(item.target, item.target_base64)?.into(),
            }),
            _ => Err("something uncovered is neither a glob with its list nor a link with its target".to_owned()),
        }
    }
}
