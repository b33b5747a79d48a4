"""How Hypothesis makes the examples of all tests: a busy machine may take long for one."""

from hypothesis import HealthCheck, settings

settings.register_profile("ledger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ledger")
