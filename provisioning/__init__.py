"""`anxinctl`, the client of installers and operators: it speaks only the API."""
