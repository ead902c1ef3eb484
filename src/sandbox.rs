//! A Marketo to practise on.

mod seed;
