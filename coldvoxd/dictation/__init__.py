"""A session from key to text: what is listened to, cut into utterances, recognized and delivered."""
