"""What ``benchmarks/fuzz.py`` gives to the parsers: seeds, what is done to them, and how a parser is watched."""
