"""What an agent collected and the server has not answered yet: on disk, in order, until it is."""
