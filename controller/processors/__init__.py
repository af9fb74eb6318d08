"""LED processors as part of the show: drivers that read and set them, and emulators that behave as they do."""
