"""The store: the only package that imports psycopg and holds SQL. One module per noun, SQL in sql/<noun>.sql."""
