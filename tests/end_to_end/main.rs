//! The built program from outside: real processes, real sockets, real files, set up the way the README sets it up.
//!
//! Each file is a scenario. They know the command line, the HTTP API and the sandboxes' control API, and nothing of the
//! inside. Every test has its own folder, ports and vendors, waits for events and never for time, and ends what it began.

mod account;
mod alike;
mod apart;
mod ashby;
mod backup;
mod bad_input;
mod broker;
#[path = "../../loadtests/src/client.rs"]
mod client;
mod collector;
#[path = "../../gateway/server/src/openapi/contract.rs"]
mod contract;
mod demo;
mod disk;
mod durability;
#[path = "../../loadtests/src/preflight/mod.rs"]
mod figure;
mod hostile;
mod naughty;
mod onboarding;
mod outage;
mod people;
mod preflight;
mod privacy;
mod process;
mod quickstart;
mod receipts;
mod rig;
mod roles;
mod sandbox;
mod scaled;
mod shared;
mod site;
mod telemetry;
mod tickets;
mod webhooks;
