//! A value for each misbehaviour; as JSON an object of those that are not 0.

use super::Misbehaviour;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// A value for each misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByName<T>([T; Misbehaviour::COUNT]);

impl<T: Copy> ByName<T> {
    /// The same for all.
    pub const fn all(value: T) -> Self {
        Self([value; Misbehaviour::COUNT])
    }

    /// That of one.
    pub fn of(&mut self, one: Misbehaviour) -> &mut T {
        &mut self.0[one.index()]
    }

    /// Each with its own, by number.
    pub fn iter(&self) -> impl Iterator<Item = (Misbehaviour, T)> {
        Misbehaviour::ALL.into_iter().zip(self.0)
    }
}

impl<T: Copy + Default> Default for ByName<T> {
    fn default() -> Self {
        Self::all(T::default())
    }
}

impl<T: Copy + Default + PartialEq + Serialize> Serialize for ByName<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = self.iter().filter(|(_, value)| *value != T::default());
        serializer.collect_map(named.map(|(one, value)| (one.entry().name, value)))
    }
}

impl<'de, T: Copy + Default + Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Self::default();
        for (name, value) in BTreeMap::<String, T>::deserialize(deserializer)? {
            *values.of(name.parse().map_err(D::Error::custom)?) = value;
        }
        Ok(values)
    }
}
