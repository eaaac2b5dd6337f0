"""A host's place in NodeRegistry: registering, looking, changing, leaving."""
