"""The domain: what to keep, what is the same, what is relevant. It knows no framework and no database."""
