//! The values of both formats: a tree with the position of each key and value.

use std::ops::Range;

/// The nesting limit of tables and arrays. A declaration needs three levels; the others allow a message about the wrong
/// key. Without a limit, a hostile file could exhaust the stack.
pub const MAX_DEPTH: usize = 32;

/// A value, with its position in the file.
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
    /// Types that no key accepts (floats, dates, null, huge numbers), by name, for messages.
    Other(&'static str),
    Array(Vec<Value>),
    /// In the order of the file; names are unique.
    Table(Vec<(Key, Value)>),
}

/// A key, with its position in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub span: Range<usize>,
    pub name: String,
}

impl Data {
    /// The type with its article, for messages.
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
