//! The OCI distribution protocol as a client.
