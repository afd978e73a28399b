"""None: but only apps that have this module are told when the database is up to date."""
