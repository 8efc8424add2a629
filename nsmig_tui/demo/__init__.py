"""A fleet on this machine: loopback SSH servers over throw-away directories."""
