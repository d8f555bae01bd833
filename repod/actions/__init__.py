"""What commands, API and pages do with repositories: each joined here once, with one form of answer for all."""
