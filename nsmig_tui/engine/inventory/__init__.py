"""Reads names of vnodes out of what the operator already has: OpenSSH and Ansible files."""
