//! The kind of a check, as JSON has it.

use serde::{Deserialize, Serialize};

use crate::manifest::Kind;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum KindItem {
    Files,
    Trees,
    Containers,
    ContainerFiles,
    Compose,
}

impl From<Kind> for KindItem {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Files => Self::Files,
            Kind::Trees => Self::Trees,
            Kind::Containers => Self::Containers,
            Kind::ContainerFiles => Self::ContainerFiles,
            Kind::Compose => Self::Compose,
        }
    }
}

impl From<KindItem> for Kind {
    fn from(kind: KindItem) -> Self {
        match kind {
            KindItem::Files => Self::Files,
            KindItem::Trees => Self::Trees,
            KindItem::Containers => Self::Containers,
            KindItem::ContainerFiles => Self::ContainerFiles,
            KindItem::Compose => Self::Compose,
        }
    }
}
