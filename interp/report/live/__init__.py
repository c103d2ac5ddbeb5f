"""A training that is recorded by `interp.watch`, followed on a page while it runs: what `interp live` serves.

`tail` and `following` read the recording as it grows, `scales` settles what a colour stands for, `views` draws, `curves` and `telling`
say the numbers and the state, `answers` is the table of all addresses, and `server` gives them out on this machine alone.
"""
