//! What a refresh promises.
