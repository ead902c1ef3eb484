//! What runs did, told and made good: `history`, `map`, `backup`, `restore`.

mod history;
mod map;
mod restore;
