//! What both formats are read into: a tree of values that knows where each key and value stands.

use std::ops::Range;

/// How deep tables and arrays may lie in each other. A declaration needs three; the rest is room for the message about
/// the key that is wrong. Without a bound, a hostile file could exhaust the stack.
pub const MAX_DEPTH: usize = 32;

/// A value, with its bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub span: Range<usize>,
    pub data: Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    String(String),
    Boolean(bool),
    Integer(i64),
    /// What no key takes (floats, dates, null, huge numbers), by its name, for the message.
    Other(&'static str),
    Array(Vec<Value>),
    /// In the order in which the keys stand in the file; no name twice.
    Table(Vec<(Key, Value)>),
}

/// A key, with its bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub span: Range<usize>,
    pub name: String,
}

impl Data {
    /// The type, with its article, as messages say it.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Other(name) => name,
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}
