//! Rows and blobs that somebody or something has changed.
