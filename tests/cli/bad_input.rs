//! What is wrong with the world: each is refused with exit code 2, a message that names the thing and says what to do,
//! without a panic, and with nothing overwritten.

mod arguments;
mod declaration;
mod locks;
mod names;
mod places;
mod spoiled;
mod streams;
mod text_locks;
