"""What is done with a host's package tool: how each is asked, and what its answers mean. Pure."""
