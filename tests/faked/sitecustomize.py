"""For processes under libfaketime: a sleep that works.

libfaketime takes the time of time.sleep() for one of the wall clock, although the monotonic clock is real. A wait of a
lock is left alone.
"""

import threading
import time

time.sleep = lambda seconds: threading.Event().wait(seconds) and None
