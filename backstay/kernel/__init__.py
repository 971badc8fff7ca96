"""The governor: pure, total functions over frozen values, standard library only.

`RunState` is the whole memory of a run; `state.after(event)` is the only way it changes; `next_stop(state)` says
whether the run may go on. Nothing here reads a clock, a file or the network.
"""
