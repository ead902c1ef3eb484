//! End-to-end tests: the real binary, over real HTTP, against the sandbox.
