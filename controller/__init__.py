"""The running product: command line, planner, show state, processes and control plane."""
