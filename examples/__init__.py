"""Examples: guarded services, and a demonstration that starts two of them."""
