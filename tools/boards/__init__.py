"""Published measurements of boards, and the nets that they were made with, rebuilt from public definitions."""
