"""Which hosts there are: each source behind ``fleet.Inventory``."""
