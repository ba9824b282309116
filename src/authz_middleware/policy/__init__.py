"""The policy: paths, templates, roles and requirements, compiled once. It never sees a token."""
