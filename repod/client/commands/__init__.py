"""The subcommands of ``repoctl``: parse, wire, call once, answer."""
