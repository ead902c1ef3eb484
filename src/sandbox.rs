//! A Marketo to practise on.
