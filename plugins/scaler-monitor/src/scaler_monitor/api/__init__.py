"""The endpoints for programs: each module makes the routes of one subject."""
