"""Hostile and slow input, sound without speech, faults and crashes, for longer than tests may take.

``make torture`` runs all parts and writes ``bench/results/torture.json``; ``python -m bench.torture
uploads`` runs one. Each starts servers of its own, on data of its own, and ends with status 1 when
a claim of ``docs/reliability.md`` does not hold.
"""
