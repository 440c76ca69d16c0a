//! A list whose items have another type in JSON. Items are converted one by one, so that a long list is not in memory
//! twice.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Items of type `T`, which are of type `F` in JSON.
pub(super) struct Items<'a, T: Clone, F>(Cow<'a, [T]>, PhantomData<F>);

impl<'a, T: Clone, F> Items<'a, T, F> {
    pub const fn of(list: &'a [T]) -> Self {
        Self(Cow::Borrowed(list), PhantomData)
    }

    pub fn into_vec(self) -> Vec<T> {
        self.0.into_owned()
    }
}

impl<T: Clone, F: Serialize + for<'b> From<&'b T>> Serialize for Items<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(F::from))
    }
}

impl<'de, T: Clone + TryFrom<F, Error: Display>, F: Deserialize<'de>> Deserialize<'de> for Items<'_, T, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items: Vec<Item<T, F>> = Vec::deserialize(deserializer)?;
        Ok(Self(items.into_iter().map(|item| item.0).collect(), PhantomData))
    }
}

struct Item<T, F>(T, PhantomData<F>);

impl<'de, T: TryFrom<F, Error: Display>, F: Deserialize<'de>> Deserialize<'de> for Item<T, F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::try_from(F::deserialize(deserializer)?).map(|item| Self(item, PhantomData)).map_err(D::Error::custom)
    }
}
