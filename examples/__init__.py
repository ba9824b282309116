"""Examples: two wrapped services, and a demonstration that starts them both."""
