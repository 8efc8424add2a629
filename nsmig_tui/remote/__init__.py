"""The only place that speaks SSH (asyncssh), and the home of the remote sh scripts."""
