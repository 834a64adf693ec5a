"""The terminal interface. It starts runs, reads their files and sends them commands; it never imports Keras."""

import os

os.environ.setdefault("TEXTUAL_FPS", "30")  # Textual reads it when it is imported; over SSH, more only cost bandwidth
