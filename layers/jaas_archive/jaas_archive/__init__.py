"""What every function of JaaS Archive knows: events, files, the archive and the record of a meeting."""
