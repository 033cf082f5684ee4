//! What vendors publish, read in the background: postings and their forms. Nothing here is on an applicant's path.

pub mod sync;
#[cfg(test)]
pub(crate) mod testing;
