"""Wire formats of camera trackers: each module parses bytes to packets in wire units, purely and without raising."""
