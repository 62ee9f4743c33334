"""`python -m jaas_archive_cli`."""

from jaas_archive_cli.main import app

app()
