"""The only client of SSH (asyncssh; the demo is a server of it), and the home of the remote sh scripts."""
