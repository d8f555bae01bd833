"""Rich dependencies, ``(a if b)``, as rpm reads them."""

_BLANK = " \t\n\r\v\f,"
_RELATIONS = ("<", "<=", "=<", "=", "==", ">=", "=>", ">")
_OPERATORS = ("and", "or", "if", "unless", "else", "with", "without")
_CHAINED = ("and", "or", "with")  # several of one kind may follow each other
_DEPTH = 100


def is_rich(text: str) -> bool:
    """Whether rpm can read it. It refuses whatever requires or conflicts with another that begins with ``(``."""
    try:
        return _expression(text, 0, _DEPTH) == len(text)
    except ValueError:
        return False


def _expression(text: str, at: int, depth: int) -> int:
    """Where the expression ends whose parenthesis opens at ``at``; ``ValueError``: it is none."""
    operator, at = "", at + 1
    while depth:
        at = _past_blanks(text, at)
        at = _expression(text, at, depth - 1) if text[at : at + 1] == "(" else _plain(text, at)
        at = _past_blanks(text, at)
        if text[at : at + 1] == ")":
            return at + 1
        end = _word(text, at)
        operator = _next(operator, text[at:end])
        at = end
    raise ValueError


def _next(before: str, operator: str) -> str:
    """The operator, where it may follow the one before."""
    if operator not in _OPERATORS:
        raise ValueError
    follows = not before or (before == operator and before in _CHAINED)
    if not follows and not (operator == "else" and before in ("if", "unless")):
        raise ValueError
    return operator


def _plain(text: str, at: int) -> int:
    """Where a name ends, with its version if it has one."""
    at = _past_blanks(text, _some_word(text, at))
    end = _word(text, at)
    return _some_word(text, _past_blanks(text, end)) if text[at:end] in _RELATIONS else at


def _some_word(text: str, at: int) -> int:
    end = _word(text, at)
    if end == at:
        raise ValueError
    return end


def _word(text: str, at: int) -> int:
    """Where a word ends: before a blank, and before a parenthesis that it has not opened."""
    opened = 0
    while at < len(text) and text[at] not in _BLANK and (text[at] != ")" or opened):
        opened += (text[at] == "(") - (text[at] == ")")
        at += 1
    return at


def _past_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
