"""The status pages: what there is, for a person with a browser. They work without scripts."""
