"""The repositories of jobs, tracks and loops, their search and filters, and the feed of events."""
