"""What every process stands on: clock, pace, ring, rights, role, log."""
