"""The checks of `flask check`. Each finds one kind of fault, reads in pages, and changes nothing."""
