//! The commands, one file for each.

pub(crate) mod chat;
pub(crate) mod doctor;
pub(crate) mod models;
pub(crate) mod ready;
pub(crate) mod shell;
