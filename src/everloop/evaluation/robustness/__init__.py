"""How answers hold when samples are damaged in known ways."""
