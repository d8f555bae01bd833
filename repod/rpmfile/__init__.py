"""RPM files: read, verified, signed and described in worker processes."""
