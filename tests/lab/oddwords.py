"""Words that shells make something else of."""

ODD = [
    "a b",
    "'",
    '"',
    "$HOME",
    "`id`",
    "\\n",
    "\\",
    "x\ny\n",
    "é",
    "!",
    "*",
    "~",
    "",
    "-n",
    "%s",
    "#",
    "\t",
    "a;b&c|d",
    "!!",
    "\\0012",
]
