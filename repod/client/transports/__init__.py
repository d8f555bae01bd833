"""Ways to hosts: each behind ``fleet.Transport``."""
