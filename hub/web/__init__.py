"""The console: pages for emergency staff, served by the hub, Chinese first. No build step, no other host, no inline script.

app (routes, headers) → board, alarms, institutions, linked, … (pages) → asking (who asks, and is it they) → rendering, words.
Every page reads the store with the caller's scope; what acts is a POST by a person, and calls what the API calls.
"""
