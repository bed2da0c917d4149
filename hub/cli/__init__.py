"""`anxin`: the commands that run things."""
