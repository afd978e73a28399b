"""Scripts that print figures. Each is run as ``python -m bench.NAME``, or by its `make` target."""
