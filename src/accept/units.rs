//! Which drifts can only be taken together: those of one module, whose `nar` says what all of it is.

use std::collections::HashMap;

use super::{AcceptError, Drifted};
use crate::compare::{self, Drift};
use crate::manifest::Kind;
use crate::path::first_name;

/// Drifts that are taken together, by their places in the comparison's list, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub drifts: Vec<usize>,
    /// What of a `trees` check it is all of: modules, and files beside them, by their names directly below the root.
    pub names: Vec<Vec<u8>>,
}

/// Which drifts of a check were chosen, by their places in the comparison's list.
pub type Choice = Vec<bool>;

/// All drifts of a check, each in one unit.
///
/// # Errors
/// More drift than the comparison has kept.
pub fn units(drifted: &Drifted) -> Result<Vec<Unit>, AcceptError> {
    if !drifted.found.left_out.is_nothing() {
        return Err(AcceptError::TooMuch);
    }
    let drift = &drifted.found.drift;
    if drifted.kind != Kind::Trees {
        return Ok((0..drift.len()).map(|index| Unit { drifts: vec![index], names: Vec::new() }).collect());
    }
    // What moved from one module into another holds the two together: each name knows one that it is held by.
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

/// Makes sure that a choice takes each unit as a whole or not at all, and that all of what it takes was read.
///
/// # Errors
/// The first unit of which that is not so.
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
        let shown = |index: &&usize| drifted.shown(drifted.found.drift[**index].path.as_bytes());
        if !left.is_empty() {
            let modules = unit.names.iter().map(|name| drifted.shown(name)).collect();
            return Err(AcceptError::InParts { modules, left: left.iter().map(shown).collect() });
        }
        if let Some((name, entry)) = unit.names.iter().find_map(|name| Some((name, unread.get(&**name)?))) {
            let (path, reason) = (entry.path.clone(), entry.reason.clone());
            return Err(AcceptError::Unread { module: drifted.shown(name), path, reason });
        }
    }
    Ok(())
}

/// Where the content of a drift was, if nothing is there any more. Of two files that were swapped, each is there still.
pub fn left<'a>(item: &'a Drift, drift: &[Drift]) -> Option<&'a [u8]> {
    let from = item.from.as_ref()?;
    compare::drift_of(drift, from).is_none().then(|| from.as_bytes())
}

/// The first of those that hold a name together, and a shorter way to it.
fn holder(held_by: &mut [usize], mut number: usize) -> usize {
    while held_by[number] != number {
        held_by[number] = held_by[held_by[number]];
        number = held_by[number];
    }
    number
}
