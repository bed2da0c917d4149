"""Documents for people: the same tables as XLSX and as PDF. The same content gives the same bytes; nothing here asks for the time or for the database."""
