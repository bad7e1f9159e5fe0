"""What is said: frozen records without any heavy import."""
