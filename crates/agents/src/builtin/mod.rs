//! Agents built into the executable, provider `quorate`.
