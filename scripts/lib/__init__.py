"""What the scripts of this project share; nothing here is shipped."""
