"""HTTP: metrics, health, and the repositories themselves."""
