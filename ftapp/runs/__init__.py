"""One run seen from outside: its folder, its events, its commands."""
