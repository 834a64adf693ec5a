"""`python -m ftapp.cli`: the command line without the program's own start."""

from ftapp.cli.app import main

main()
