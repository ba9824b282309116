"""An API that a page of another origin calls: CORS stands outside of the guard."""
