"""Settings of the property tests."""

from hypothesis import HealthCheck, settings

# On a slow or busy machine an example may take long, and that says nothing about the code.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.load_profile("unhurried")
