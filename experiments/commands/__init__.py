"""The commands of the command line: one function each, parsed arguments in, an exit code out."""
