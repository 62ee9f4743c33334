"""The simulator's command line: `python -m local.jaas`."""

from local.jaas.cli import app

app(prog_name="python -m local.jaas")
