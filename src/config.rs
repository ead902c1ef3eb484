//! Flags, environment, file and defaults, made into one Config.
