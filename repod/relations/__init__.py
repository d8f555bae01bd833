"""What packages require of each other, decided by libsolv in a process of its own."""
