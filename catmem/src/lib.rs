//! Pipes: shared-memory rings between two processes.
