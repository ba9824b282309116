"""A demonstration: an issuer, two wrapped apps under real servers, and who may do what."""
