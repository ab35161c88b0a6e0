"""What outlives a crash: the audio of active sessions is kept in the runtime directory, and the next process recognizes it."""
