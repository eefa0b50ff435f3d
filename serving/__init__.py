"""What leaves the warehouse. Only marts are read here."""
