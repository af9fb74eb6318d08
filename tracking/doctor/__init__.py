"""Says what is wrong with a tracker: from datagrams with arrival times to findings, and what to change. Pure."""
