"""What repod is delivered as: wheel, source archive, RPMs for each distribution; ``python -m config.packaging``."""
