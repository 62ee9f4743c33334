"""What `make load` does: a flood of events and a full queue of files, on the embedded cloud."""
