"""Reports: one self-contained HTML page for a run or for several, and a model card. Nothing here imports Keras."""
