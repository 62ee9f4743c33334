"""What a copy costs, ours and the peers', measured on this machine; `make bench` runs it."""
