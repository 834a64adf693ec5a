"""What ftapp is about: which weights are frozen, the proof, and features that are computed once."""
