"""The commands `audit`, `aggregate` and `watch`, and how they show what they found."""
