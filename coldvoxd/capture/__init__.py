"""An open microphone, and the policy that decides when it is open."""
