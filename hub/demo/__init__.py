"""The demo: a small city on this machine, from the engine to the webhook, played for real.

It sits on top of everything, like the command line: it starts the same processes that production runs (`anxin serve`, `anxin edge`,
`anxinctl`) and looks at them only through the API. The devices are protocol endpoints of `drivers/simulator` in a process of their own.
"""
