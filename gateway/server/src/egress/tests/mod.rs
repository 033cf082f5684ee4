//! The stack under a paused clock, and the client on real sockets.

mod rotation;
mod stack;
mod tls;
mod wire;
