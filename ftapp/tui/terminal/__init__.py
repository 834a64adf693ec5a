"""The terminal that the interface is drawn on: what it can show, its colours, its pictures, how often it is drawn."""
