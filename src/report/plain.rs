//! The words of the whole program, under the name by which the report knows them.

pub(super) use crate::plain::{count, counted, one_line};
