"""Configure: a recipe that is changed before it runs."""
