"""The processes: the web server, the workers beside it, and how they start and stop."""
