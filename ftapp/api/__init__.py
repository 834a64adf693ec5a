"""ftapp for Python: the verbs that `import ftapp` gives. Nothing here imports Keras before a model is loaded."""
