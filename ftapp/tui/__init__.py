"""The terminal interface. It starts runs, reads their files and sends them commands; it never imports Keras."""
