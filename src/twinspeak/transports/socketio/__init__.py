"""The Socket.IO face: an Engine.IO 4 / Socket.IO 5 server of our own (house rule; decision 016)."""
