"""The looper: cuts one seamless loop out of one recording."""
