"""Who is asked before anything leaves or disappears, and how a change is taken back."""
