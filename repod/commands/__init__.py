"""The commands of `repod`: parse, wire, call once, answer."""
