"""The processes of the house: each module is a thin shell, started as `python -P -m controller.processes.<name>`.

What a process reads at its start stays: the collector of garbage, which would look at all of it again and again (a
tenth of the time to the first picture), looks seldom. Those whose loop it would hold go back to `EVERYDAY` later.
"""

import gc

EVERYDAY = gc.get_threshold()
"""How often the collector looks as Python comes."""

gc.set_threshold(20_000, 20, 20)
