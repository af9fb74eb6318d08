"""The processes of the house: each module is a thin shell, started as `python -P -m controller.processes.<name>`."""
