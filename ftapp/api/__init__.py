"""ftapp for Python: the functions that `import ftapp` gives. Nothing here imports Keras before a model is loaded."""
