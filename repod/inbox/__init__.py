"""Inbox: where packages come in."""
