//! the CIB document: model, validation, patches, digests, storage.
