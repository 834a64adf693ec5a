"""Many runs: paired arms, lists, deletion."""
