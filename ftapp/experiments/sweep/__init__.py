"""Sweeps: a search for better values of a recipe's keys, and the comparison of the best with the recipe's own."""
