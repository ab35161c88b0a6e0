"""An open microphone, and the policy that says when it is open."""
