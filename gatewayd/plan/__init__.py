"""From the user's objects to what the workers serve, and to what the user is told. Pure: no clock, no network."""
