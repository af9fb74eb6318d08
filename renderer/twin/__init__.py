"""The digital twin: processor emulators, walls from cabinet poses, a virtual camera, and the measures of truth."""
