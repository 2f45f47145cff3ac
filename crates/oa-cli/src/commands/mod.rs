//! Which commands are there? One file for each.

pub(crate) mod chat;
pub(crate) mod doctor;
pub(crate) mod models;
pub(crate) mod ready;
