"""`anxin`: runs things. Heavy modules are imported inside the commands, so that `--help` stays quick."""
