//! Causeway's words and contracts.
//!
//! One word per thing, the same in code, tables, API, console and logs. *Tenant*: a customer company. *Connector*: the
//! code that speaks one vendor's API. *Account*: a tenant's credentials and settings at one connector, in the role `ats`
//! or `crm`. *Posting*: a job as published, with all its ids. *Submission*: what a site sent, accepted or refused.
//! *Application*: an accepted submission. *Candidate*: a person as known to one system. *Delivery*: one thing to be
//! carried to one account, made of *steps*. *Attempt*: one try of a step. *Outcome*: what a try came to. *Receipt*: proof
//! of acceptance, with a short *code* that can be read over the phone. *Refusal*: a "no" with reasons. *Case*: something
//! a human should look at. The program is *the gateway*, never "the app".
//!
//! Invariants, each an absence: no I/O, no async runtime, no SQL, no clock of its own, and no vendor's name.

#![warn(missing_docs)]

pub mod ids;

pub mod application;
pub mod email;
pub mod posting;

pub mod account;
pub mod connector;
pub mod delivery;
pub mod outcome;
pub mod overlay;
pub mod reason;

pub mod problem;

pub mod clock;
pub mod pii;
