//! What runs did, told and made good: `history`, `map`, `backup`, `restore`.

mod audit;
mod backup;
mod certificate;
mod forged;
mod history;
mod left_alone;
mod map;
mod members;
mod restore;
mod rows;
mod whole;
mod witness;
