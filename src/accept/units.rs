//! Groups drifts that can only be taken together: the drifts of one module, whose `nar` covers all of it.

use std::collections::HashMap;

use super::{AcceptError, Drifted};
use crate::compare::{self, Drift};
use crate::manifest::Kind;
use crate::path::first_name;

/// Drifts that are taken together, as indices into the comparison's list, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub drifts: Vec<usize>,
    /// In a `trees` check, the names directly below the root that the unit covers whole: modules and loose files.
    pub names: Vec<Vec<u8>>,
}

/// For each drift in the comparison's list, whether it was chosen.
pub type Choice = Vec<bool>;

/// All drifts of a check, each in exactly one unit.
///
/// # Errors
/// There is more drift than the comparison kept.
pub fn units(drifted: &Drifted) -> Result<Vec<Unit>, AcceptError> {
    if !drifted.found.left_out.is_nothing() {
        return Err(AcceptError::TooMuch);
    }
    let drift = &drifted.found.drift;
    if drifted.kind != Kind::Trees {
        return Ok((0..drift.len()).map(|index| Unit { drifts: vec![index], names: Vec::new() }).collect());
    }
    // A move from one module into another joins the two. This is a union-find over names.
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut held_by: Vec<usize> = Vec::new();
    let mut number = |name, held_by: &mut Vec<usize>| {
        *numbers.entry(name).or_insert_with(|| {
            held_by.push(held_by.len());
            held_by.len() - 1
        })
    };
    let mut own = Vec::with_capacity(drift.len());
    for item in drift {
        let to = number(first_name(item.path.as_bytes()), &mut held_by);
        if let Some(from) = left(item, drift) {
            let from = number(first_name(from), &mut held_by);
            let (a, b) = (holder(&mut held_by, from), holder(&mut held_by, to));
            held_by[a.max(b)] = a.min(b);
        }
        own.push(to);
    }
    let mut units: HashMap<usize, Unit> = HashMap::new();
    for (index, own) in own.into_iter().enumerate() {
        units.entry(holder(&mut held_by, own)).or_default().drifts.push(index);
    }
    for (name, number) in numbers {
        units.entry(holder(&mut held_by, number)).or_default().names.push(name.to_vec());
    }
    let mut units: Vec<_> = units.into_values().collect();
    units.iter_mut().for_each(|unit| unit.names.sort());
    units.sort_by_key(|unit| unit.drifts.first().copied());
    Ok(units)
}

/// Checks that each unit is chosen whole or not at all, and that everything in a chosen unit was read.
///
/// # Errors
/// The first unit that breaks this.
pub fn whole(drifted: &Drifted, units: &[Unit], choice: &Choice) -> Result<(), AcceptError> {
    if drifted.kind != Kind::Trees {
        return Ok(());
    }
    let unread = drifted.found.unverified.iter().rev().map(|entry| (first_name(entry.path.as_bytes()), entry));
    let unread: HashMap<&[u8], _> = unread.collect();
    for unit in units {
        let left: Vec<_> = unit.drifts.iter().filter(|&&index| !choice[index]).collect();
        if left.len() == unit.drifts.len() {
            continue;
        }
        let shown = |index: &&usize| drifted.reported_path(drifted.found.drift[**index].path.as_bytes());
        if !left.is_empty() {
            let modules = unit.names.iter().map(|name| drifted.reported_path(name)).collect();
            return Err(AcceptError::InParts { modules, left: left.iter().map(shown).collect() });
        }
        if let Some((name, entry)) = unit.names.iter().find_map(|name| Some((name, unread.get(&**name)?))) {
            let (path, reason) = (entry.path.clone(), entry.reason.clone());
            return Err(AcceptError::Unread { module: drifted.reported_path(name), path, reason });
        }
    }
    Ok(())
}

/// The path that a file moved away from, if nothing is there any more. Of two swapped files, both paths still exist.
pub fn left<'a>(item: &'a Drift, drift: &[Drift]) -> Option<&'a [u8]> {
    let from = item.from.as_ref()?;
    compare::drift_of(drift, from).is_none().then(|| from.as_bytes())
}

/// Finds the representative of a name, and shortens the path to it.
fn holder(held_by: &mut [usize], mut number: usize) -> usize {
    while held_by[number] != number {
        held_by[number] = held_by[held_by[number]];
        number = held_by[number];
    }
    number
}
