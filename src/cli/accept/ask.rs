//! Asks about one unit after the other on a terminal, as `git add -p` does.

use std::io::{self, BufRead as _, Read as _, Write};

use crate::accept::{Choice, Drifted, Unit};
use crate::compare::Comparison;
use crate::report::changes;

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 1000;

const HELP: &str = "y - accept it\nn - leave it\nd - show the change\na - accept it and all that follow\nq - leave it and all that follow\n? - print this help";

/// Shows a change: the index of the check, and its drifts.
pub type Show<'a> = dyn FnMut(usize, &Comparison, &mut dyn Write) -> io::Result<()> + 'a;

/// Asks about each unit of each check. The end of the input counts as `q`.
///
/// # Errors
/// The terminal can't be read or written.
pub fn choices(all: &[(&Drifted, &[Unit])], show: &mut Show<'_>) -> io::Result<Vec<Choice>> {
    let mut choices: Vec<Choice> = all.iter().map(|(drifted, _)| vec![false; drifted.found.drift.len()]).collect();
    let of: usize = all.iter().map(|(_, units)| units.len()).sum();
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut rest = None;
    let mut number = 0;
    for (index, ((drifted, units), choice)) in all.iter().zip(&mut choices).enumerate() {
        for unit in *units {
            number += 1;
            let take = match rest {
                Some(answer) => answer,
                None => {
                    let chosen = drifted.of(unit);
                    changes::write(&mut stdout, drifted.kind, &drifted.places[0], &chosen)?;
                    let (take, all) =
                        answer(&mut stdin, &mut stdout, (number, of), &mut |out| show(index, &chosen, out))?;
                    rest = all.then_some(take);
                    take
                }
            };
            unit.drifts.iter().for_each(|drift| choice[*drift] = take);
        }
    }
    Ok(choices)
}

/// Whether to accept the unit, and whether that applies to all that follow.
fn answer(
    stdin: &mut io::StdinLock<'_>,
    stdout: &mut impl Write,
    (number, of): (usize, usize),
    show: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(bool, bool)> {
    loop {
        write!(stdout, "({number}/{of}) Accept this [y,n,d,a,q,?]? ")?;
        stdout.flush()?;
        let mut line = Vec::new();
        stdin.take(LONGEST).read_until(b'\n', &mut line)?;
        match line.trim_ascii() {
            b"" if line.is_empty() => {
                writeln!(stdout)?;
                return Ok((false, true));
            }
            b"y" | b"Y" => return Ok((true, false)),
            b"n" | b"N" => return Ok((false, false)),
            b"d" | b"D" => show(stdout)?,
            b"a" | b"A" => return Ok((true, true)),
            b"q" | b"Q" => return Ok((false, true)),
            _ => writeln!(stdout, "{HELP}")?,
        }
    }
}
