"""What outlives a crash: utterances on their way are kept in the runtime directory and recognized by the next process."""
