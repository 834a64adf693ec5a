"""The search of a sweep: what is tried next, which trials promise nothing, and how a sweep is carried out."""
