//! Runs build steps in rootless namespaces.
