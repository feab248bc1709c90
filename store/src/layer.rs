//! Layers as tar streams and blobs: reading what others made, writing ours.

mod ahead;
pub mod aside;
pub mod blob_view;
pub mod bodies;
pub mod canonical;
pub mod codec;
pub mod decompress;
pub mod estargz;
pub mod export;
pub mod files_error;
mod fragment;
pub mod import;
mod incompressible;
pub mod limits;
mod loaded;
pub mod midstate;
pub mod origin;
pub mod recipe;
pub mod soci;
pub mod start_order;
pub mod tar_read;
pub mod tar_write;
mod toc;
pub mod zstd_chunked;
