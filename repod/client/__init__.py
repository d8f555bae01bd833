"""``repoctl``: pushes packages, asks and changes repositories over HTTP, updates hosts in waves and proves each."""
