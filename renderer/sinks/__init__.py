"""Where finished canvases go: a ring in shared memory, PNG files of exactly what a processor got."""
