"""Speed and memory of simcell, measured: `python -m benchmarks [NAME ...]` prints tables with targets beside them.

Times are those of the machine at hand, the least of several runs; nothing in the tests depends on them.
"""
