//! Signal processing: plain functions over slices, and `new / reset / process` types. Knows no threads, files or models.

pub mod denormals;
pub mod resample;
