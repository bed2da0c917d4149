"""The HTTP API: thin routers over the store; rights, scope, pages and problems are done once here."""
