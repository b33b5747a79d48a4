"""Starts and stops the processes: the web server and the workers beside it. Sends webhooks."""
