"""Boards for Grafana as code: `python -m dashboards` writes dashboards/generated, `--check` says whether it is up to date.

A panel is a function that gives a dict, a board is a list of them. They read the views of schema `dash` and nothing else.
"""
