"""Host-side training of facelatch's networks, and its synthetic people."""
