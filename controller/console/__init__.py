"""The files of the page: hand-written, served as they are."""
